package childbroker

import (
	"context"
	"slices"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// call is a call that the broker makes by itself, and answer what came of it.
type call struct {
	path, method string
	param        chainpack.Value
}

type answer struct {
	value chainpack.Value
	err   error
}

// callAll makes calls, many at a time, and returns the answer to each.
func (c *Child) callAll(calls []call) []answer {
	answers := make([]answer, 0, len(calls))
	for part := range slices.Chunk(calls, MaxCalls) {
		answers = append(answers, c.callPart(part)...)
	}
	return answers
}

// callPart makes calls at once. All have the same time.
func (c *Child) callPart(part []call) []answer {
	ctx, cancel := context.WithTimeout(c.ctx, CallWait)
	defer cancel()
	waiting := make([]<-chan answer, len(part))
	for i, one := range part {
		waiting[i] = c.begin(one)
	}
	answers := make([]answer, len(part))
	for i, of := range waiting {
		answers[i] = c.await(ctx, of)
	}
	c.mu.Lock()
	clear(c.calls)
	c.mu.Unlock()
	return answers
}

// await waits for an answer until ctx ends; one that is there then still counts.
func (c *Child) await(ctx context.Context, of <-chan answer) answer {
	select {
	case a := <-of:
		return a
	case <-ctx.Done():
	}
	select {
	case a := <-of:
		return a
	default:
	}
	if c.ctx.Err() != nil {
		return answer{err: errGone}
	}
	return answer{err: errNoAnswer}
}

// begin sends a call.
func (c *Child) begin(one call) <-chan answer {
	waiting := make(chan answer, 1)
	c.mu.Lock()
	c.lastID++
	id := c.lastID
	c.calls[id] = waiting
	c.mu.Unlock()
	var m rpc.Message
	err := m.Parse(rpc.AppendRequest(nil, id, one.path, one.method, one.param))
	if err == nil {
		m.SetAccess(rpc.AccessSuper)
		err = c.options.Send(append(m.AppendMeta(nil), m.Body()...))
	}
	if err != nil {
		c.fail(id, err)
	}
	return waiting
}

// fail answers a call that was not sent.
func (c *Child) fail(id int64, err error) {
	c.mu.Lock()
	waiting := c.calls[id]
	delete(c.calls, id)
	c.mu.Unlock()
	if waiting != nil {
		waiting <- answer{err: err}
	}
}
