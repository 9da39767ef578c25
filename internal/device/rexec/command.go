package rexec

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/device/runas"
	"shvtools/internal/session/tunnel"
)

// SFTPFlag makes shvrexec serve SFTP on its standard streams.
const SFTPFlag = "sftp-server"

// command returns what to start for a call. The agent has checked the call against its
// policy; the grant in its line is checked again. self is the path of shvrexec. missing
// is what users should know of what they do not get. Errors are for the caller.
func command(line helperline.Line, environ []string, self string) (spec ptyproc.Spec, missing []string, err error) {
	wanted, err := line.Call.Wanted()
	if err != nil {
		return spec, nil, err
	}
	grant := &line.Policy
	if err := grant.Check(wanted); err != nil {
		return spec, nil, err
	}
	me, err := runas.Lookup(grant)
	if err != nil {
		return spec, nil, err
	}
	spec.Env = me.Environ(environ)
	if err := program(&spec, line, wanted, me, self); err != nil {
		return spec, nil, err
	}
	spec.Env = append(spec.Env, clientEnv(line.Call.Ext.Env, grant.Env)...)
	me.Apply(grant, &spec, self)
	if spec.Pty != nil {
		spec.Env = withDefault(spec.Env, "TERM", "xterm")
	}
	if grant.Dir == "" && (spec.Dir == "/" || wanted.Use == policy.Shell) {
		missing = me.Missing
	}
	if line.Call.NoTerminal || wanted.Pty && spec.Pty == nil {
		missing = append(missing, fmt.Sprintf("%s gives its commands no terminal", grant.Rule))
	}
	return spec, missing, nil
}

// program fills in the program of spec. A forced command takes precedence over the
// caller's offer, and the offer over method and params, which hold the nearest thing for
// helpers of the base protocol. What the offer asks for starts as after a login: in the
// home directory, with the variables of the user.
func program(spec *ptyproc.Spec, line helperline.Line, wanted policy.Wanted, me runas.Account, self string) error {
	argv, err := line.Call.Argv()
	if err != nil {
		return err
	}
	if line.Policy.Terminal(wanted) {
		spec.Pty = terminalSize(line.Call)
	}
	run, force := line.Call.Ext.Run, line.Policy.Force
	if run.Kind != tunnel.RunNone || force != "" {
		spec.Dir = me.Home
		spec.Env = append(spec.Env, me.Env()...)
	}
	shell := func(text string) { spec.Path, spec.Argv = me.Shell, []string{filepath.Base(me.Shell), "-c", text} }
	switch {
	case force != "":
		shell(force)
		if wanted.Use == policy.Commands {
			spec.Env = append(spec.Env, policy.OriginalEnv+"="+original(wanted))
		}
		return nil
	case run.Kind == tunnel.RunShell || wanted.Use == policy.Shell && line.Policy.Shell != "":
		spec.Path = me.Shell
		// A shell that the policy names is the only one that is allowed.
		if run.Text != "" && (wanted.Use != policy.Shell || line.Policy.Shell == "") {
			spec.Path = run.Text
		}
		spec.Argv = []string{"-" + filepath.Base(spec.Path)}
		return nil
	case run.Kind == tunnel.RunSubsystem:
		// In a process of its own, so that it ends like any other session.
		spec.Path, spec.Argv = self, []string{"shvrexec", "--" + SFTPFlag}
		return nil
	case run.Kind == tunnel.RunExec:
		if argv = line.Policy.Argv(wanted); argv == nil {
			shell(run.Text)
			return nil
		}
	}
	spec.Path, spec.Argv = argv[0], argv
	return nil
}

// original returns what was asked for, for a forced command.
func original(w policy.Wanted) string {
	if w.Line != "" {
		return strings.ReplaceAll(w.Line, "\x00", "")
	}
	return strings.ReplaceAll(strings.Join(w.Argv, " "), "\x00", "")
}

// terminalSize reads the params [command, columns, rows].
func terminalSize(call helperline.Call) *ptyproc.Size {
	size := new(ptyproc.Size)
	if params := call.Params; params.Len() >= 3 {
		cols, _ := params.At(1).AsInt()
		rows, _ := params.At(2).AsInt()
		*size = ptyproc.Size{Cols: clampSize(int(cols)), Rows: clampSize(int(rows))}
	}
	return size
}

func clampSize(n int) uint16 { return uint16(min(max(n, 0), math.MaxUint16)) }

func withDefault(env []string, name, value string) []string {
	for _, v := range env {
		if strings.HasPrefix(v, name+"=") {
			return env
		}
	}
	return append(env, name+"="+value)
}

// clientEnv returns the offered variables that the patterns allow.
func clientEnv(offered []tunnel.EnvVar, allowed []string) (env []string) {
	for _, v := range offered {
		if strings.ContainsAny(v.Name, "=\x00") || strings.ContainsRune(v.Value, 0) {
			continue
		}
		if runas.Matches(allowed, v.Name) {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}
