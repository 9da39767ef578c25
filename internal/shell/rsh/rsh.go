// Package rsh is the program shvrsh without its command line: the user's end of a
// remote shell or of one remote command (spec.md 8.10). It connects the user's terminal
// or streams with a tunnel or an in-band session.
//
// It reads no configuration and no command line (packages config and sshargs do), and
// does not decide what may run: the device does.
package rsh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/tty"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// Options describe one session. Stdin, Stdout, Stderr, URL and Path are required.
type Options struct {
	URL            transport.URL // of the broker
	User, Password string
	Path           string   // SHV path of the device's agent
	Unlisted       string   // name without a slash that the user gave and the configuration lacks; or ""
	Method         string   // to call there; "": launchRexec
	Command        []string // its words are joined with spaces; empty: a shell
	Subsystem      bool     // Command names a subsystem, such as sftp
	Shell          string   // shell on the device; "": the user's login shell there
	TTY            bool     // the remote program gets a terminal

	Stdin, Stdout, Stderr *os.File
	Env                   []tunnel.EnvVar  // offered to the device, which takes what its policy allows
	Signals               <-chan os.Signal // signals that the program received
	Escape                byte             // escape character at a terminal; 0: none

	ConnectTimeout time.Duration // for the connection and the login; 0: 10 s
	OpenTimeout    time.Duration // for the device to open the session; 0: 15 s
	Watch          tunnel.Watch
	Quiet          bool // print errors only
	AnyStatus      bool // an unknown exit status counts as 0
	Log            zerolog.Logger
}

// Run opens a shell or runs a command, and returns when that has ended: the exit code
// of the remote command (128 and the number of the signal that killed it), or an error
// if the code is unknown. Errors begin with Path. When Run returns, the terminal is as
// the user had it. Cancelling ctx ends the session.
func Run(ctx context.Context, o Options) (code int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &session{opts: o, screen: screen{out: o.Stderr}}
	s.terminal.in, s.terminal.screen = o.Stdin, &s.screen
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
		return 0, s.describeLogin(err)
	}
	defer c.Close()
	o.Log.Debug().Int64("clientId", c.ID()).Msg("logged in")
	s.client = c
	defer s.leave()
	return s.run(ctx)
}

// serveTree returns what shvrsh serves to callers.
func serveTree() *node.Tree {
	tree := new(node.Tree)
	tree.Add("", node.Constant("appName", "s", rpc.AccessBrowse, chainpack.String("shvrsh")))
	return tree
}

// outcome turns the end of the tunnel into an exit code or an error.
func (s *session) outcome(end tunnel.Closing) (code int, err error) {
	var lost *link.EndError // a reason that came before the connection ended takes precedence
	switch {
	case errors.As(end.Err, &lost):
		return 0, fmt.Errorf("%s: session ended: connection to the broker lost: %w", s.opts.Path, end.Err)
	case end.Err != nil:
		return 0, fmt.Errorf("%s: session ended: %w", s.opts.Path, end.Err)
	case end.Exit == nil && (len(s.opts.Command) == 0 || s.opts.AnyStatus):
		return 0, nil // an older shvrexec reports no more
	case end.Exit == nil:
		return 0, fmt.Errorf("%s: exit status unknown: the device is too old to report it; "+
			"--allow-unknown-status takes it for 0", s.opts.Path)
	}
	for _, channel := range []int{tunnel.Stdout, tunnel.Stderr} {
		if sent, came := end.Exit.Sent[int64(channel)], s.end.Received(channel); sent != came {
			return 0, fmt.Errorf("%s: %d of %d bytes of output were lost", s.opts.Path, sent-came, sent)
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
