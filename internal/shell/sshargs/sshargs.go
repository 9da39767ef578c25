// Package sshargs reads the command line of shvrsh as ssh would read it, so that
// scp, sftp, rsync, git and fingers take shvrsh for ssh:
//
//	shvrsh [options] [user@]PATH [options] [command...]
//
// It turns words into settings and nothing more: it looks up no environment, no
// file and no name, opens nothing, prints nothing, and gives no defaults. What
// ssh has and shvrsh cannot do is either refused, where leaving it out would do
// something else than was asked for (forwards, jump hosts), or kept as a Note.
//
// Where OpenSSH 9.2 has a rule, it is followed: which of two values wins, where
// options end, and how the value of `-o` is cut into words.
package sshargs

import (
	"errors"
	"time"
)

// Args is a command line.
//
// User, Port and the single-valued keys of `-o` keep the first value given, as in
// ssh; the options that only shvrsh has keep the last.
type Args struct {
	// Alias is the destination as written, without `user@`; Path is the SHV path
	// that it stands for when no configuration says otherwise, see DecodePath.
	// Both are empty only with Help or Version, or for --print-config alone.
	Alias, Path string
	// Command are the words from the command on, untouched. ssh joins them with
	// spaces and gives the line to the remote shell.
	Command []string

	User Opt[string] // -l, -u, --user, -o User, user@
	Port Opt[int]    // -p, --server-port, -o Port; of the broker

	TTY       Opt[TTY]    // -t, -T, -o RequestTTY
	Escape    Opt[Escape] // -e, -o EscapeChar
	StdinNull bool        // -n, -o StdinNull
	Subsystem bool        // -s, -o SessionType=subsystem: Command names one
	BatchMode bool        // never ask

	LogLevel Opt[LogLevel] // -q, -v, -o LogLevel

	ConnectTimeout      Opt[time.Duration] // 0: no limit
	ServerAliveInterval Opt[time.Duration] // 0: off
	ServerAliveCountMax Opt[int]
	SendEnv             []string // patterns in order, see EnvWanted
	SetEnv              []EnvVar // each name once

	PrintConfig bool // -G, --print-config
	Help        bool // -h, --help; nothing behind it was read
	Version     bool // -V, --version; nothing behind it was read

	URL          string // --url
	ServerHost   string // --server-host: a host, host:port or URL, as in C++
	Password     string
	PasswordFile string
	Config       string // -F, --config
	ShvLogLevel  string // --log-level, in shvrsh's own words
	LogFormat    string
	TunnelMethod string             // --tunnel-method
	RPCTimeout   Opt[time.Duration] // --rpc-time-out, --rto

	AllowUnknownStatus bool

	// Notes are what was accepted and left out.
	Notes []Note
}

// Note is an option that was accepted and has no effect.
type Note struct {
	Option string // as one would write it: "-x", "-o ForwardX11"
	Value  string
}

// String is a line for verbose mode.
func (n Note) String() string {
	if n.Value == "" {
		return n.Option + " has no effect"
	}
	return n.Option + " " + quoted(n.Value) + " has no effect"
}

// EnvVar is a variable for the device.
type EnvVar struct{ Name, Value string }

// Parse reads the words behind the program's name. An error is one line and
// names the option.
func Parse(args []string) (Args, error) {
	p := &parser{rest: args}
	if err := p.run(); err != nil {
		return Args{}, err
	}
	return p.args, nil
}

// WantTTY tells whether ssh would ask for a terminal at the far end.
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
	errNoSubsystem = errors.New("option -s needs the name of a subsystem behind PATH, such as sftp")
)
