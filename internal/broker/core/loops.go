package core

import (
	"context"
	"slices"
	"time"

	"shvtools/internal/broker/internal/own"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

const (
	// maxAbove bounds the brokers that are looked for above this one, and
	// askAbove the time for it.
	maxAbove = maxStack
	askAbove = 3 * time.Second
	// maxAsking is how many brokers below may look at once, and maxCurious how many
	// others.
	maxAsking  = 16
	maxCurious = 2
)

// ID names this broker, as long as it runs.
func (b *Broker) ID() string { return b.runID }

// brokersAbove answers with the ids of this broker and of those above it, for one
// that is about to stand below: it must not be among them. The param has the ids
// of those that asked each other so far; who finds himself there asks no further.
// Where one above could tell and does not, the answer is an error: no list of a part
// of them shows that there is no loop.
func (b *Broker) brokersAbove(s *session, from rpc.Address, param chainpack.Value) {
	asked := texts(param)
	ids := []string{b.runID}
	var unknown error
	if !slices.Contains(asked, b.runID) && len(asked) < maxAbove {
		ctx, cancel := context.WithTimeout(context.Background(), askAbove)
		defer cancel()
		var above []string
		above, unknown = b.above(ctx, append(slices.Clip(asked), b.runID))
		ids = append(ids, above...)
	}
	loops := func(id string) bool { return slices.Contains(asked, id) }
	if unknown != nil && !slices.ContainsFunc(ids, loops) {
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeTryAgainLater, "%s does not tell which brokers are above it: %v", b.opts.Name, unknown)))
		return
	}
	if i := slices.IndexFunc(ids, loops); i >= maxAbove {
		ids[0], ids[i] = ids[i], ids[0] // what they look for is not cut off
	}
	values := make([]chainpack.Value, 0, len(ids))
	for _, id := range ids[:min(len(ids), maxAbove)] {
		values = append(values, chainpack.String(id))
	}
	s.answer(rpc.AppendResult(nil, from, chainpack.List(values...)))
}

// above asks all parents at once who is there and above. The error is of one that
// could have told and did not; others cannot tell.
func (b *Broker) above(ctx context.Context, asked []string) (ids []string, err error) {
	param := make([]chainpack.Value, len(asked))
	for i, id := range asked {
		param[i] = chainpack.String(id)
	}
	type answer struct {
		ids []string
		err error
	}
	b.mu.RLock()
	answers := make(chan answer, len(b.parents))
	n := 0
	for s := range b.parents {
		if !s.ready.Load() {
			continue // it looks for a loop by itself when it is
		}
		n++
		go func() {
			result, err := s.parent.Call(ctx, own.CurrentClient, "brokersAbove", chainpack.List(param...))
			if rpc.IsUnknown(err) {
				err = nil
			}
			answers <- answer{texts(result), err}
		}()
	}
	b.mu.RUnlock()
	for range n {
		a := <-answers
		ids = append(ids, a.ids...)
		if err == nil {
			err = a.err
		}
	}
	return ids, err
}

func texts(list chainpack.Value) []string {
	all := make([]string, 0, min(list.Len(), maxAbove))
	for _, item := range list.Items() {
		if text, ok := item.AsString(); ok && len(all) < maxAbove {
			all = append(all, text)
		}
	}
	return all
}

// answerBrokersAbove answers a call of brokersAbove in a goroutine of its own. A broker
// that gets no answer gives its connection up, so nobody else takes its place.
func (b *Broker) answerBrokersAbove(r *node.Request) error {
	s := r.Caller.(*session)
	asking, limit := &b.curious, maxCurious
	if mayBeBroker(s.user.Load()) && len(r.From.Callers) == 0 {
		asking, limit = &b.asking, maxAsking
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || *asking >= limit {
		return rpc.Errorf(rpc.CodeTryAgainLater, "too many ask which brokers are above")
	}
	*asking++
	b.running.Go(func() {
		b.brokersAbove(s, r.From, r.Param)
		b.mu.Lock()
		*asking--
		b.mu.Unlock()
	})
	return node.ErrLater
}
