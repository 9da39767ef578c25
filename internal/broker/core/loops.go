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
	// maxAbove bounds the brokers that are returned as above this one, and askAbove the
	// time to ask for them.
	maxAbove = maxStack
	askAbove = 3 * time.Second
	// maxAsking bounds the calls of brokersAbove by child brokers that are under way, and
	// maxCurious those by other clients.
	maxAsking  = 16
	maxCurious = 2
)

// ID names this run of the broker.
func (b *Broker) ID() string { return b.runID }

// brokersAbove answers with the ids of this broker and of those above it. The caller is
// about to become a child: it must not be among them, or there would be a loop. The param
// has the ids of the brokers that asked each other so far; a broker that finds itself
// there asks no further. If a parent that knows the method does not answer, the answer is
// an error, since an incomplete list does not show that there is no loop.
func (b *Broker) brokersAbove(s *session, from rpc.Address, param chainpack.Value) {
	asked := texts(param)
	ids := []string{b.runID}
	var unknown error
	if !slices.Contains(asked, b.runID) && len(asked) < maxAbove {
		ctx, cancel := context.WithTimeout(context.Background(), askAbove)
		defer cancel()
		var above []string
		above, unknown = b.parentIDs(ctx, append(slices.Clip(asked), b.runID))
		ids = append(ids, above...)
	}
	loops := func(id string) bool { return slices.Contains(asked, id) }
	if unknown != nil && !slices.ContainsFunc(ids, loops) {
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeTryAgainLater,
			"%s does not tell which brokers are above it: %v", b.opts.Name, unknown)))
		return
	}
	if i := slices.IndexFunc(ids, loops); i >= maxAbove {
		ids[0], ids[i] = ids[i], ids[0] // the id of the loop is not cut off
	}
	values := make([]chainpack.Value, 0, len(ids))
	for _, id := range ids[:min(len(ids), maxAbove)] {
		values = append(values, chainpack.String(id))
	}
	s.answer(rpc.AppendResult(nil, from, chainpack.List(values...)))
}

// parentIDs asks all parents at once for their ids and those above them. The error is
// that of a parent that knows the method and did not answer; others cannot tell.
func (b *Broker) parentIDs(ctx context.Context, asked []string) (ids []string, err error) {
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
			continue // it looks for loops by itself when it is
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

// answerBrokersAbove answers a call of brokersAbove in a goroutine of its own. Child
// brokers have places of their own: one without an answer gives up its connection.
func (b *Broker) answerBrokersAbove(r *node.Request) error {
	s := r.Caller.(*session)
	asking, limit := &b.curious, maxCurious
	if s.user.Load().MayBeBroker() && len(r.From.Callers) == 0 {
		asking, limit = &b.asking, maxAsking
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || *asking >= limit {
		return rpc.Errorf(rpc.CodeTryAgainLater, "too many calls of brokersAbove are under way")
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
