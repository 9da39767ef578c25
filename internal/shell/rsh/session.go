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
	local    bool // a terminal on our side too, which is made raw
	client   *client.Client
	size     tty.Size    // at the call
	output   *tty.Writer // of the terminal on stdout; nil: stdout is none
	screen   screen
	terminal terminal
	readID   int64
	began    time.Time

	opened   chan struct{} // closed when end is set
	failed   chan error    // the call was answered by something else
	extended bool          // the helper knows the additions; set before opened
	end      *tunnel.End   // set by the read loop, before opened
	byTunnel bool          // a tunnel carries it; set before opened

	mu      sync.Mutex
	inBand  *inband.User // what else carries it; set by the read loop
	running *tunnel.End  // that signals go to; nil before and after
	signals int          // that were passed on
}

// run calls the agent and carries the session.
func (s *session) run(ctx context.Context) (code int, err error) {
	var resizes <-chan tty.Size
	if s.local {
		resizes = tty.Resizes(ctx, s.opts.Stdin) // before the first look at the size
		s.size, _ = tty.SizeOf(s.opts.Stdin)
	}
	if output, err := tty.NewWriter(s.opts.Stdout); err == nil {
		s.output, s.screen.terminal = output, output // left open: the read loop may use it until we end
	}
	s.opts.Log.Debug().Str("device", s.opts.Path).Bool("terminal", s.opts.TTY).Msg("calling the device")
	if err := s.open(ctx); err != nil {
		return 0, s.describe(err)
	}
	s.opts.Log.Debug().Str("with", s.way()).Msg("the device answers")
	if s.local {
		if err := s.terminal.makeRaw(); err != nil {
			return 0, err
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
		Stringer("took", time.Since(s.began).Round(time.Millisecond)).Msg("the session is over")
	if failed != nil && end.Err == nil {
		return 0, failed
	}
	code, err = s.outcome(end)
	if err == nil && s.local && !s.opts.Quiet {
		s.screen.say(s.farewell(end))
	}
	return code, err
}
