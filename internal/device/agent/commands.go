package agent

import (
	"context"
	"errors"
	"slices"
	"strings"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/device/runas"
	"shvtools/internal/device/runcmd"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
)

// runner runs a call on a host.
type runner func(context.Context, runcmd.Host, runcmd.Call) (chainpack.Value, error)

// runCmd runs a program and answers when it has ended (spec.md 9.2).
func (c *connection) runCmd(r *node.Request) (chainpack.Value, error) {
	run := func(ctx context.Context, h runcmd.Host, call runcmd.Call) (chainpack.Value, error) {
		return h.Run(ctx, call)
	}
	return c.run(r, policy.Commands, run)
}

// runScript runs a script and answers when it has ended (spec.md 9.3).
func (c *connection) runScript(r *node.Request) (chainpack.Value, error) {
	run := func(ctx context.Context, h runcmd.Host, call runcmd.Call) (chainpack.Value, error) {
		return h.RunScript(ctx, c.agent.services.scripts, call)
	}
	return c.run(r, policy.Scripts, run)
}

// run starts a call that counts as a session.
func (c *connection) run(r *node.Request, use policy.Use, run runner) (chainpack.Value, error) {
	call, err := runcmd.ParseCall(r.Param)
	if err != nil {
		return chainpack.Value{}, err
	}
	wanted := policy.Wanted{Use: use}
	if use == policy.Commands {
		wanted.Argv = append([]string{call.Text}, call.Args...)
	}
	permit, err := c.allow(r, wanted)
	if err != nil {
		return chainpack.Value{}, err
	}
	method, user, owner := r.Method, policy.UserChain(r.UserID), rpc.UserOf(r.UserID)
	do := func(ctx context.Context, _ func(float64)) (chainpack.Value, error) {
		leave, err := c.agent.helpers.enter(owner)
		if err != nil {
			return chainpack.Value{}, err
		}
		defer leave()
		ctx, over, err := c.agent.opts.InForce.during(ctx, permit)
		if err != nil {
			return chainpack.Value{}, err
		}
		defer over()
		command := call.Text
		if use == policy.Commands {
			command = audit.CommandText(append([]string{call.Text}, call.Args...))
		}
		host, err := c.agent.host(permit.grant, &call)
		if err != nil {
			return chainpack.Value{}, err
		}
		recorded, err := c.begin(r, use, permit.grant, command)
		if err != nil {
			return chainpack.Value{}, err
		}
		defer recorded.lost()
		host.Ended = recorded.exited
		ctx, cancel := limitTime(ctx, permit.grant)
		defer cancel()
		result, err := run(ctx, host, call)
		recorded.over(int64(r.Size), causeOf(ctx, err))
		var notStarted *runcmd.StartError
		if errors.As(err, &notStarted) && c.agent.often.Pass(provoked("command not started", user, notStarted)) {
			// Callers get the text of the C++ agent, without a reason.
			c.agent.opts.Log.Warn().Err(notStarted).Str("method", method).Str("user", user).Msg("command not started")
		}
		return result, err
	}
	return c.calls.Start(c.agent.services.commands, r, asynccall.Turn{User: owner}, do)
}

// host returns the host that runs a call under a grant. It waits for the disk.
func (a *agent) host(g *policy.Grant, call *runcmd.Call) (runcmd.Host, error) {
	host := a.services.host
	account, err := runas.Lookup(g)
	if err != nil {
		return host, err
	}
	if account.Other() {
		host.Environ, host.Foreign = account.Environ(host.Environ), true
	}
	if g.Strict() && call.Env != nil {
		// A variable could make an allowed program do anything.
		var env []string
		for _, v := range call.Env {
			if name, _, _ := strings.Cut(v, "="); runas.Matches(g.Env, name) {
				env = append(env, v)
			}
		}
		call.Env = append(account.Environ(host.Environ), env...)
	}
	host.Under = func(spec *ptyproc.Spec) {
		if g.Force != "" {
			original := strings.Join(append([]string{call.Text}, call.Args...), " ")
			original = strings.ReplaceAll(original, "\x00", "")
			spec.Env = append(slices.Clip(spec.Env), policy.OriginalEnv+"="+original)
			spec.Path, spec.Argv = account.Shell, []string{account.Shell, "-c", g.Force}
		}
		account.Apply(g, spec, a.opts.Helper)
	}
	return host, nil
}
