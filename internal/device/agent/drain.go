package agent

import (
	"fmt"
	"time"

	"shvtools/internal/shv/rpc"
)

// drain refuses new sessions and calls, and waits for running ones: for Terms.Drain, or
// until Options.Cut is closed.
func (a *agent) drain() {
	limit := a.opts.InForce.Drain()
	sessions, none := a.helpers.refuse()
	calls, ends := 0, []<-chan struct{}{none}
	for _, lane := range a.services.lanes() {
		n, none := lane.Refuse(rpc.Errorf(rpc.CodeTryAgainLater,
			"the agent on this device is stopping and accepts no new calls"))
		calls, ends = calls+n, append(ends, none)
	}
	if sessions+calls == 0 || limit <= 0 {
		return
	}
	a.opts.Log.Info().Int("sessions", sessions).Int("calls", calls).Str("limit", limit.String()).
		Msg("stopping: waiting for sessions and calls")
	a.helpers.warn(fmt.Sprintf("the agent on this device is stopping; this session ends in %v", limit))
	late := time.NewTimer(limit)
	defer late.Stop()
	for _, none := range ends {
		select {
		case <-none:
		case <-late.C:
			return
		case <-a.opts.Cut:
			return
		}
	}
}
