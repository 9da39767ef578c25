package agent

import (
	"context"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/runcmd"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// Device describes the machine for the node .device (spec.md 9.7).
type Device struct {
	Serial string // serial number; "": unknown
	Reset  string // shell command that restarts the machine; "": there is no method reset
}

// device returns the methods of the node .device.
func (c *connection) device() []node.Method {
	o := c.agent.opts
	serial := chainpack.Null()
	if o.Device.Serial != "" {
		serial = chainpack.String(o.Device.Serial)
	}
	methods := []node.Method{
		node.Constant("name", "s", rpc.AccessBrowse, chainpack.String(deviceType)),
		node.Constant("version", "s", rpc.AccessBrowse, chainpack.String(o.Version)),
		node.Constant("serialNumber", "s|n", rpc.AccessBrowse, serial),
		node.Getter("uptime", "u", rpc.AccessRead, uptime),
	}
	if o.Device.Reset != "" {
		methods = append(methods, node.Method{
			Name: "reset", Flags: node.FlagNotIdem, Access: rpc.AccessCommand, Call: c.reset,
		})
	}
	return methods
}

// uptime returns the uptime of the machine in seconds; Null if the kernel does not report it.
func uptime() chainpack.Value {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return chainpack.Null()
	}
	return chainpack.UInt(uint64(max(int64(info.Uptime), 0)))
}

// reset runs the configured command, if the policy lets the caller run it, and answers when it
// has ended. It runs as the agent, whatever the policy says of other commands.
func (c *connection) reset(r *node.Request) (chainpack.Value, error) {
	permit, err := c.allow(r, policy.Wanted{Use: policy.Commands, Line: c.agent.opts.Device.Reset})
	if err != nil {
		return chainpack.Value{}, err
	}
	reset := runcmd.Call{Text: "/bin/sh", Args: []string{"-c", c.agent.opts.Device.Reset}}
	s := c.agent.services
	run := func(ctx context.Context, _ func(float64)) (chainpack.Value, error) {
		ctx, over, err := c.agent.opts.InForce.during(ctx, permit)
		if err != nil {
			return chainpack.Value{}, err
		}
		defer over()
		recorded, err := c.begin(r, policy.Commands, permit.grant, c.agent.opts.Device.Reset)
		if err != nil {
			return chainpack.Value{}, err
		}
		host := s.host
		host.Ended = recorded.exited
		code, err := host.Exit(ctx, reset)
		recorded.over(int64(r.Size), causeOf(ctx, err))
		switch {
		case err != nil:
			return chainpack.Value{}, err
		case code != 0:
			return chainpack.Value{}, rpc.Errorf(rpc.CodeException,
				"the command that resets this device failed with exit code %d", code)
		}
		return chainpack.Null(), nil
	}
	return c.calls.Start(s.commands, r, asynccall.Turn{User: rpc.UserOf(r.UserID)}, run)
}
