// Package rsh is the program shvrsh: the user's end of a remote shell or of one
// remote command (spec.md 8.10, design.md sections 6 and 8). It speaks to the
// user's terminal on one side and to a tunnel on the other.
package rsh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/session/inband"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/tty"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// openWait is how long a device may take to open the tunnel.
const openWait = 15 * time.Second

// Options of a remote shell.
type Options struct {
	URL            transport.URL
	User, Password string
	Path           string   // of the device's agent
	Method         string   // to call there; "": launchRexec
	Command        []string // empty: a shell
	Subsystem      bool     // Command names a service of the helper
	Shell          string   // on the device; "": the login shell of its user
	TTY            bool     // a terminal at the far end

	Stdin, Stdout, Stderr *os.File
	Env                   []tunnel.EnvVar  // offered to the device
	Signals               <-chan os.Signal // that the program got
	Escape                byte             // at a terminal; 0: none

	ConnectTimeout time.Duration // of the connection and login; 0: 10 s
	OpenTimeout    time.Duration // until the device opens the tunnel; 0: 15 s
	Watch          tunnel.Watch
	Quiet          bool // no messages but errors
	AnyStatus      bool // an unknown exit status counts as 0
	Log            zerolog.Logger
}

// Run opens a shell or runs a command. It gives the exit code of the remote
// command, or an error where that is not known. The terminal is as it was when
// Run returns.
func Run(ctx context.Context, o Options) (code int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{opts: o, screen: screen{out: o.Stderr}}
	s.local = o.TTY && tty.IsTerminal(o.Stdin)
	go func() {
		for {
			select {
			case sig := <-o.Signals:
				s.signalled(sig, cancel)
			case <-ctx.Done():
				return
			}
		}
	}()
	o.Log.Debug().Stringer("broker", o.URL).Str("user", o.User).Msg("connecting")
	c, err := client.Dial(ctx, client.Options{
		URL:     o.URL,
		Login:   client.Login{User: o.User, Password: o.Password},
		Timeout: o.ConnectTimeout,
		Serve:   serveTree(),

		Blocking: true,
	})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	o.Log.Debug().Int64("clientId", c.ID()).Msg("logged in")
	s.client = c
	defer s.leave()
	return s.run(ctx)
}

// serveTree is what shvrsh answers when it is called itself.
func serveTree() *node.Tree {
	tree := new(node.Tree)
	tree.Add("", node.Constant("appName", "s", rpc.AccessBrowse, chainpack.String("shvrsh")))
	return tree
}

// call is the param of launchRexec. What helpers of the base protocol
// understand stands before the offer.
func (s *session) call() chainpack.Value {
	o := &s.opts
	line := strings.Join(o.Command, " ")
	offer := tunnel.Ext{Version: tunnel.Version, Window: s.window(), Env: o.Env, Features: []string{inband.Feature}}
	shell := o.Shell
	program := chainpack.List(chainpack.String("/bin/sh"), chainpack.String("-c"), chainpack.String(line))
	switch {
	case o.Subsystem:
		offer.Run = tunnel.Run{Kind: tunnel.RunSubsystem, Text: line}
		program = chainpack.String("/usr/lib/openssh/sftp-server") // where a Debian has it
	case len(o.Command) > 0:
		offer.Run = tunnel.Run{Kind: tunnel.RunExec, Text: line}
	default:
		offer.Run = tunnel.Run{Kind: tunnel.RunShell, Text: shell}
		if shell == "" {
			shell = "/bin/bash"
		}
		program = chainpack.String(shell)
	}
	method, params := "runCmd", program
	if o.TTY {
		method = "runPtyCmd"
		params = chainpack.List(program, chainpack.Int(int64(s.size.Cols)), chainpack.Int(int64(s.size.Rows)))
	}
	return chainpack.Map(
		chainpack.F("method", chainpack.String(method)),
		chainpack.F("params", params),
		chainpack.F("ext", offer.Value()),
	)
}

// window is how much of a channel the device may send ahead: little to a
// terminal, so that Ctrl-C soon shows.
func (s *session) window() int64 {
	if s.opts.TTY {
		return tunnel.PtyWindow
	}
	return tunnel.CommandWindow
}

// outcome turns the end of the tunnel into an exit code or an error.
func (s *session) outcome(end tunnel.Closing) (code int, err error) {
	var lost *link.EndError // what we were told before the connection ended is another reason
	switch {
	case errors.As(end.Err, &lost):
		return 0, fmt.Errorf("%s: session ended: connection to the broker lost: %w", s.opts.Path, end.Err)
	case end.Err != nil:
		return 0, fmt.Errorf("%s: session ended: %w", s.opts.Path, end.Err)
	case end.Exit == nil && (len(s.opts.Command) == 0 || s.opts.AnyStatus):
		return 0, nil // a helper of the base protocol tells no more
	case end.Exit == nil:
		return 0, fmt.Errorf("%s: remote exit status unknown: the device's shvrexec does not tell it", s.opts.Path)
	}
	for _, channel := range []int{tunnel.Stdout, tunnel.Stderr} {
		if sent, came := end.Exit.Sent[int64(channel)], s.end.Received(channel); sent != came {
			return 0, fmt.Errorf("%s: %d of %d bytes of output were lost on the way", s.opts.Path, sent-came, sent)
		}
	}
	if end.Exit.Message != "" {
		s.screen.say("shvrsh: " + s.opts.Path + ": " + end.Exit.Message)
	}
	if end.Exit.Signal != "" {
		return signalCode(end.Exit.Signal), nil
	}
	return end.Exit.Code & 0xff, nil
}

// errSignal is the end of the program by a signal.
type errSignal struct{ sig os.Signal }

func (e errSignal) Error() string { return fmt.Sprintf("ended by signal: %v", e.sig) }

// forwarded are the signals that a remote command gets in our place.
var forwarded = map[os.Signal]string{syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGQUIT: "QUIT"}
