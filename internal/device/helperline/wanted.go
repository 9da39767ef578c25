package helperline

import (
	"shvtools/internal/device/policy"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// sftp is the only subsystem.
const sftp = "sftp"

// Wanted returns what a call wants, for the policy. Like the helper, it takes the offer
// in Ext first. Its errors are for the caller.
func (c Call) Wanted() (policy.Wanted, error) {
	argv, err := c.Argv()
	if err != nil {
		return policy.Wanted{}, err
	}
	pty := c.Method == runPty
	switch offer := c.Ext.Run; offer.Kind {
	case tunnel.RunShell:
		if offer.Text == "" || policy.IsShell(offer.Text) {
			return policy.Wanted{Use: policy.Shell, Pty: pty}, nil
		}
		return policy.Wanted{Use: policy.Commands, Argv: []string{offer.Text}, Pty: pty}, nil
	case tunnel.RunExec:
		return policy.Wanted{Use: policy.Commands, Line: offer.Text, Pty: pty}, nil
	case tunnel.RunSubsystem:
		if offer.Text != sftp {
			return policy.Wanted{}, rpc.Errorf(rpc.CodeNotImplemented,
				"subsystem '%s' is not available on this device", offer.Text)
		}
		return policy.Wanted{Use: policy.SFTP, Pty: pty}, nil
	}
	if pty && len(argv) == 1 && policy.IsShell(argv[0]) {
		return policy.Wanted{Use: policy.Shell, Pty: true}, nil
	}
	return policy.Wanted{Use: policy.Commands, Argv: argv, Pty: pty}, nil
}

// Argv returns the program and arguments that method and params name, whatever the offer
// is. Its errors are for the caller.
func (c Call) Argv() ([]string, error) {
	switch c.Method {
	case runPty:
		if c.Params.Kind() != chainpack.KindList || c.Params.Len() == 0 {
			return nil, rpc.Errorf(rpc.CodeInvalidParam,
				"launchRexec: invalid params of runPtyCmd (want [command, columns, rows])")
		}
		return argvOf(c.Params.At(0))
	case run:
		return argvOf(c.Params)
	case "":
		return nil, rpc.Errorf(rpc.CodeInvalidParam,
			`launchRexec: no method in the param (want {"method": "runPtyCmd" or "runCmd", "params": …})`)
	}
	return nil, rpc.Errorf(rpc.CodeMethodNotFound,
		"launchRexec: unknown method '%s' (want runPtyCmd or runCmd)", c.Method)
}

// argvOf reads a command: a String is the name of a program; a List is the program and
// its arguments. Items that are not Strings become CPON.
func argvOf(v chainpack.Value) ([]string, error) {
	if name, ok := v.AsString(); ok && name != "" {
		return []string{name}, nil
	}
	var argv []string
	for _, item := range v.Items() {
		text, ok := item.AsString()
		if !ok {
			text = cpon.String(item)
		}
		argv = append(argv, text)
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, rpc.Errorf(rpc.CodeInvalidParam,
			"launchRexec: no program (want its name, or a list of the name and the arguments)")
	}
	return argv, nil
}
