// Package sshargs reads the command line of shvrsh as ssh would, so that scp, sftp,
// rsync, git and people can use shvrsh like ssh (spec.md 10.2, 10.4):
//
//	shvrsh [options] [user@]PATH [options] [command...]
//
// It only turns words into settings: it reads no environment, file or name, opens and
// prints nothing, and has no defaults. An option of ssh that shvrsh does not have is an
// error if ignoring it would do something else than was asked for (port forwarding, jump
// hosts); otherwise it becomes a Note.
//
// The rules of OpenSSH 9.2 decide which of two values wins, where options end, and how
// the value of -o is cut into words.
package sshargs

import (
	"errors"
	"time"
)

// Args is a command line.
//
// User, Port and the single-valued keys of -o keep their first value, as in ssh. Options
// that only shvrsh has keep their last.
type Args struct {
	// Alias is the destination as written, without "user@". Path is the SHV path that
	// it stands for unless the configuration says otherwise; see DecodePath. Both are
	// empty only with Help or Version, or for --print-config or --check-config alone.
	Alias, Path string
	// Command holds the words of the command, unchanged. ssh joins them with spaces
	// for the remote shell.
	Command []string

	User Opt[string] // -l, -u, --user, -o User, user@
	Port Opt[int]    // of the broker: -p, --server-port, -o Port

	TTY       Opt[TTY]    // -t, -T, -o RequestTTY
	Escape    Opt[Escape] // -e, -o EscapeChar
	StdinNull bool        // -n, -o StdinNull
	Subsystem bool        // -s, -o SessionType=subsystem: Command names the subsystem
	BatchMode bool        // ask no questions

	LogLevel Opt[LogLevel] // -q, -v, -o LogLevel

	ConnectTimeout      Opt[time.Duration] // 0: no limit
	ServerAliveInterval Opt[time.Duration] // 0: off
	ServerAliveCountMax Opt[int]
	SendEnv             []string // patterns in order, see EnvWanted
	SetEnv              []EnvVar // each name once

	PrintConfig bool // -G, --print-config
	Help        bool // -h, --help; what follows it was not read
	Version     bool // -V, --version; what follows it was not read

	URL          string // --url
	ServerHost   string // --server-host of the C++ tool: a host, host:port or URL
	ServerScheme string // --server-scheme of it: tcp or ""
	Password     string
	PasswordFile string
	Config       string // -F, --config
	ShvLogLevel  string // --log-level, with the levels of all our programs
	LogFormat    string
	TunnelMethod string             // --tunnel-method
	RPCTimeout   Opt[time.Duration] // --rpc-time-out, --rto

	AllowUnknownStatus bool
	AllowPlaintext     bool // connect without encryption off loopback too
	CheckConfig        bool // --check-config: report what is wrong with the configuration

	// Notes are the options that were ignored.
	Notes []Note
}

// Note is an option that was ignored because shvrsh does not have it.
type Note struct {
	Option string // as users write it: "-x", "-o ForwardX11"
	Value  string
}

// String returns a line for verbose mode.
func (n Note) String() string {
	if n.Value == "" {
		return n.Option + " has no effect"
	}
	return n.Option + " " + quoted(n.Value) + " has no effect"
}

// EnvVar is an environment variable for the remote program.
type EnvVar struct{ Name, Value string }

// Parse reads the words after the program's name. An error is one line and names the
// option.
func Parse(args []string) (Args, error) {
	p := &parser{rest: args}
	if err := p.run(); err != nil {
		return Args{}, err
	}
	return p.args, nil
}

// WantTTY reports whether ssh would give the remote program a terminal.
func (a *Args) WantTTY(stdinIsTerminal bool) bool {
	if a.TTY.Value == TTYForce {
		return true
	}
	if !stdinIsTerminal || a.StdinNull || a.TTY.Value == TTYNo {
		return false
	}
	return len(a.Command) == 0 || a.TTY.Value == TTYYes
}

var (
	errNoPath      = errors.New("the PATH of a device is missing, such as test/agent")
	errNoSubsystem = errors.New("option -s needs the name of a subsystem after PATH, such as sftp")
)
