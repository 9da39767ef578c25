package rexec

import (
	"bufio"
	"math"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strings"

	"shvtools/internal/chainpack"
	"shvtools/internal/cpon"
	"shvtools/internal/launch"
	"shvtools/internal/ptyproc"
	"shvtools/internal/rpc"
	"shvtools/internal/tunnel"
)

// SFTPFlag makes shvrexec serve SFTP on its standard streams.
const SFTPFlag = "sftp-server"

// defaultPath is PATH where the agent was started with none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// command says what to start for a call; self is the path of this program. Its
// errors are for the caller.
func command(line launch.Line, environ []string, self string) (ptyproc.Spec, error) {
	call := line.Call
	spec := ptyproc.Spec{Env: withDefault(withoutOurs(environ), "PATH", defaultPath)}
	switch call.Method {
	case "runPtyCmd":
		if err := ptyCommand(&spec, call.Params); err != nil {
			return spec, err
		}
	case "runCmd":
		argv, err := argvOf(call.Params)
		if err != nil {
			return spec, err
		}
		spec.Path, spec.Argv = argv[0], argv
	case "":
		return spec, rpc.Errorf(rpc.CodeInvalidParam, "launchRexec needs a param {\"method\": \"runPtyCmd\" or \"runCmd\", \"params\": …}")
	default:
		return spec, rpc.Errorf(rpc.CodeMethodNotFound, "launchRexec: unknown method '%s', runPtyCmd and runCmd are known", call.Method)
	}
	if err := runCommand(&spec, call.Ext.Run, self); err != nil {
		return spec, err
	}
	spec.Env = append(spec.Env, clientEnv(call.Ext.Env, line.Policy.Env)...)
	if spec.Pty != nil {
		spec.Env = withDefault(spec.Env, "TERM", "xterm")
	}
	return spec, nil
}

// ptyCommand reads `[command, columns, rows]`.
func ptyCommand(spec *ptyproc.Spec, params chainpack.Value) error {
	if params.Kind() != chainpack.KindList || params.Len() == 0 {
		return rpc.Errorf(rpc.CodeInvalidParam, "runPtyCmd needs the params [command, columns, rows]")
	}
	argv, err := argvOf(params.At(0))
	if err != nil {
		return err
	}
	spec.Path, spec.Argv = argv[0], argv
	spec.Pty = new(ptyproc.Size)
	if params.Len() >= 3 {
		cols, _ := params.At(1).AsInt()
		rows, _ := params.At(2).AsInt()
		*spec.Pty = ptyproc.Size{Cols: clampSize(int(cols)), Rows: clampSize(int(rows))}
	}
	return nil
}

func clampSize(n int) uint16 { return uint16(min(max(n, 0), math.MaxUint16)) }

// argvOf reads a command: a String is the name of a program, as a whole; a List
// is the program and its arguments, what is not a String turned into text.
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
		return nil, rpc.Errorf(rpc.CodeInvalidParam, "no program is named: give its name, or a list of the name and the arguments")
	}
	return argv, nil
}

// runCommand replaces the command by what the offer asks for: the device user's
// own shell, in the user's home directory, as after a login.
func runCommand(spec *ptyproc.Spec, run tunnel.Run, self string) error {
	if run.Kind == tunnel.RunNone {
		return nil
	}
	me := currentAccount()
	spec.Path = me.shell
	switch run.Kind {
	case tunnel.RunShell:
		if run.Text != "" {
			spec.Path = run.Text
		}
		spec.Argv = []string{"-" + filepath.Base(spec.Path)}
	case tunnel.RunExec:
		spec.Argv = []string{filepath.Base(spec.Path), "-c", run.Text}
	case tunnel.RunSubsystem:
		if run.Text != "sftp" {
			return rpc.Errorf(rpc.CodeNotImplemented, "subsystem '%s' is not available on this device", run.Text)
		}
		// A process of its own, so that it ends as any other session does.
		spec.Path, spec.Argv = self, []string{"shvrexec", "--" + SFTPFlag}
	}
	spec.Dir = me.home
	spec.Env = append(spec.Env, "HOME="+me.home, "USER="+me.name, "LOGNAME="+me.name, "SHELL="+me.shell)
	return nil
}

// account is the user that the helper runs as.
type account struct {
	name, home, shell string
}

func currentAccount() account {
	me := account{name: "root", home: "/", shell: "/bin/sh"}
	if u, err := user.Current(); err == nil {
		me.name, me.home = u.Username, u.HomeDir
	}
	if info, err := os.Stat(me.home); err != nil || !info.IsDir() {
		me.home = "/"
	}
	if shell := loginShell("/etc/passwd", me.name); shell != "" {
		me.shell = shell
	}
	return me
}

// loginShell finds the user's shell in a passwd file; "" where it is not there
// or cannot be run.
func loginShell(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 7 || fields[0] != name {
			continue
		}
		if info, err := os.Stat(fields[6]); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return fields[6]
		}
		return ""
	}
	return ""
}

// withoutOurs leaves out the variables that configure our programs: a session
// has no business with the agent's password.
func withoutOurs(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, v := range environ {
		if !strings.HasPrefix(v, "SHV_") {
			kept = append(kept, v)
		}
	}
	return kept
}

func withDefault(env []string, name, value string) []string {
	for _, v := range env {
		if strings.HasPrefix(v, name+"=") {
			return env
		}
	}
	return append(env, name+"="+value)
}

// clientEnv is what of the offered environment the patterns allow.
func clientEnv(offered []tunnel.EnvVar, allowed []string) (env []string) {
	for _, v := range offered {
		if strings.ContainsAny(v.Name, "=\x00") || strings.ContainsRune(v.Value, 0) {
			continue
		}
		for _, pattern := range allowed {
			if ok, err := path.Match(pattern, v.Name); ok && err == nil {
				env = append(env, v.Name+"="+v.Value)
				break
			}
		}
	}
	return env
}
