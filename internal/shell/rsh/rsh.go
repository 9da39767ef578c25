// Package rsh is the program shvrsh: the user's end of a remote shell or of one
// remote command (spec.md 8.10, design.md sections 6 and 8). It speaks to the
// user's terminal on one side and to a tunnel on the other.
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
