package rsh

import (
	"context"
	"sync"
	"time"

	"shvtools/internal/session/inband"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/sys/tty"
	"shvtools/internal/wire/client"
)

// session is one shell or command.
type session struct {
	opts     Options
	local    bool // stdin is a terminal, which becomes raw
	client   *client.Client
	size     tty.Size    // of that terminal when the session is opened
	output   *tty.Writer // writes to the terminal on stdout; nil: stdout is not a terminal
	screen   screen
	terminal terminal
	readID   int64 // request id of the call, and of all messages to us
	began    time.Time

	// The read loop sets these before it closes opened.
	opened   chan struct{}
	extended bool        // the device knows windows, resize and exit status
	end      *tunnel.End // our end of the session
	byTunnel bool        // a tunnel carries the session; otherwise inBand does

	failed chan error // capacity 1: why the device does not open the session

	mu      sync.Mutex
	inBand  *inband.User // set by the read loop
	running *tunnel.End  // receives signals; nil before and after the session
	signals int          // signals passed on
}

// run opens the session and carries it to its end.
func (s *session) run(ctx context.Context) (code int, err error) {
	var resizes <-chan tty.Size
	if s.local {
		resizes = tty.Resizes(ctx, s.opts.Stdin) // before the size is read, so that no change is missed
		s.size, _ = tty.SizeOf(s.opts.Stdin)
	}
	if output, err := tty.NewWriter(s.opts.Stdout); err == nil {
		s.output, s.screen.terminal = output, output // never closed: the read loop uses it to the end
	}
	s.opts.Log.Debug().Str("device", s.opts.Path).Bool("terminal", s.opts.TTY).Msg("opening a session")
	if err := s.open(ctx); err != nil {
		return 0, s.describe(err)
	}
	s.opts.Log.Debug().Str("with", s.features()).Msg("session opened")
	if s.local {
		if err := s.terminal.makeRaw(); err != nil {
			return 0, s.describe(err)
		}
		defer s.terminal.giveBack()
	}
	if err := s.accept(); err != nil {
		return 0, s.describe(err)
	}
	s.began = time.Now()
	failed := s.carry(ctx, resizes)
	s.terminal.giveBack()
	end := s.end.Closing()
	s.opts.Log.Debug().Int64("typed", s.end.Sent(tunnel.Stdin)).Int64("shown", s.end.Received(tunnel.Stdout)).
		Stringer("took", time.Since(s.began).Round(time.Millisecond)).Msg("session ended")
	if failed != nil && end.Err == nil {
		return 0, s.describe(failed)
	}
	code, err = s.outcome(end)
	if err == nil && s.local && !s.opts.Quiet {
		s.screen.say(s.farewell(end))
	}
	return code, err
}
