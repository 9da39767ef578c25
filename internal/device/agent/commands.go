package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/device/runas"
	"shvtools/internal/device/runcmd"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
)

// runner runs a call on a host.
type runner func(context.Context, runcmd.Host, runcmd.Call) (chainpack.Value, error)

// runCmd and runScript are answered when the process has ended.
func (c *connection) runCmd(r *node.Request) (chainpack.Value, error) {
	return c.run(r, policy.Commands, func(ctx context.Context, h runcmd.Host, call runcmd.Call) (chainpack.Value, error) {
		return h.Run(ctx, call)
	})
}

func (c *connection) runScript(r *node.Request) (chainpack.Value, error) {
	return c.run(r, policy.Scripts, func(ctx context.Context, h runcmd.Host, call runcmd.Call) (chainpack.Value, error) {
		return h.RunScript(ctx, c.agent.services.scripts, call)
	})
}

func (c *connection) run(r *node.Request, use policy.Use, run runner) (chainpack.Value, error) {
	call, err := runcmd.ParseCall(r.Param)
	if err != nil {
		return chainpack.Value{}, err
	}
	wanted := policy.Wanted{Use: use}
	if use == policy.Commands {
		wanted.Argv = append([]string{call.Text}, call.Args...)
	}
	grant, err := c.agent.allow(r, wanted)
	if err != nil {
		return chainpack.Value{}, err
	}
	method, user, owner := r.Method, policy.UserChain(r.UserID), policy.UserOf(r.UserID)
	return c.calls.Start(c.agent.services.commands, r, asynccall.Turn{User: owner}, func(ctx context.Context, _ func(float64)) (chainpack.Value, error) {
		leave, err := c.agent.helpers.enter(owner)
		if err != nil {
			return chainpack.Value{}, err
		}
		defer leave()
		host, err := c.agent.host(grant, &call)
		if err != nil {
			return chainpack.Value{}, err
		}
		ctx, cancel := limitTime(ctx, grant)
		defer cancel()
		result, err := run(ctx, host, call)
		var notStarted *runcmd.StartError
		if errors.As(err, &notStarted) && c.agent.often.Pass("no process", user) { // the caller is told no reason, as by the C++ agent
			c.agent.opts.Log.Warn().Err(notStarted).Str("method", method).Str("user", user).Msg("no process")
		}
		return result, err
	})
}

// host is where a call runs under a grant. It waits for the disk.
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
			spec.Env = append(slices.Clip(spec.Env), fmt.Sprintf("%s=%s", policy.OriginalEnv, strings.ReplaceAll(strings.Join(append([]string{call.Text}, call.Args...), " "), "\x00", "")))
			spec.Path, spec.Argv = account.Shell, []string{account.Shell, "-c", g.Force}
		}
		account.Apply(g, spec, a.opts.Helper)
	}
	return host, nil
}
