package childbroker_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/childbroker"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// peer is the child at the other end, and what the broker's clients want of it.
type peer struct {
	t     *testing.T
	child *childbroker.Child

	mu       sync.Mutex
	wanted   []string
	concerns func(shvpath.RI) // nil: nobody watches
	sent     []*rpc.Message   // that were not read yet
	failures []error
	lost     error // Send fails with it
}

// withPeer runs a test with a child that is mounted at m, in virtual time.
func withPeer(t *testing.T, f func(t *testing.T, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &peer{t: t}
		p.child = childbroker.New(childbroker.Options{
			Mount: "m",
			Watch: func(concerns func(shvpath.RI)) (stop func()) {
				p.concerns = concerns
				return func() { p.concerns = nil }
			},
			Wanted: func() (all []shvpath.RI) {
				p.mu.Lock()
				defer p.mu.Unlock()
				for _, text := range p.wanted {
					all = append(all, mustRI(t, text))
				}
				return all
			},
			Send: func(message []byte) error {
				p.mu.Lock()
				defer p.mu.Unlock()
				m := new(rpc.Message)
				if err := m.Parse(message); err != nil {
					t.Error(err)
				}
				if p.lost == nil {
					p.sent = append(p.sent, m)
				}
				return p.lost
			},
			Failed: func(err error) { p.failures = append(p.failures, err) },
		})
		f(t, p)
		p.child.Stop()
		if p.concerns != nil {
			t.Error("it goes on watching")
		}
	})
}

func mustRI(t *testing.T, text string) shvpath.RI {
	t.Helper()
	ri, err := shvpath.ParseRI(text)
	if err != nil {
		t.Fatal(err)
	}
	return ri
}

// want changes what is wanted, in the child's words, and tells of it.
func (p *peer) want(texts ...string) {
	p.mu.Lock()
	p.wanted = texts
	p.mu.Unlock()
	p.concerns(mustRI(p.t, "m/**"))
}

// calls returns the calls since the last time, sorted: "path:method param".
func (p *peer) calls() (messages []*rpc.Message, texts []string) {
	p.t.Helper()
	time.Sleep(childbroker.Gather)
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	messages, p.sent = p.sent, nil
	for _, m := range messages {
		content, err := m.Content()
		if err != nil || m.Access() != rpc.AccessSuper || len(m.Callers()) > 0 {
			p.t.Errorf("%v, access %v, caller ids %v", err, m.Access(), m.Callers())
		}
		texts = append(texts, fmt.Sprintf("%s:%s %s", m.Path(), m.Method(), cpon.String(content.Value)))
	}
	slices.Sort(texts)
	return messages, texts
}

// expect wants calls, and answers them with a result in CPON.
func (p *peer) expect(result string, want ...string) {
	p.t.Helper()
	messages, texts := p.calls()
	if !slices.Equal(texts, want) {
		p.t.Errorf("calls %q, want %q", texts, want)
	}
	v, err := cpon.Parse([]byte(result), chainpack.Limits{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, m := range messages {
		p.answer(rpc.AppendResult(nil, rpc.Address{ID: m.ID()}, v))
	}
	synctest.Wait()
}

// refuse answers the calls that are there with an error.
func (p *peer) refuse(err *rpc.Error) {
	p.t.Helper()
	messages, texts := p.calls()
	if len(messages) == 0 {
		p.t.Error("there are no calls")
	}
	for range texts {
		m := messages[0]
		messages = messages[1:]
		p.answer(rpc.AppendError(nil, rpc.Address{ID: m.ID()}, err))
	}
	synctest.Wait()
}

func (p *peer) answer(message []byte) {
	p.t.Helper()
	var m rpc.Message
	if err := m.Parse(message); err != nil {
		p.t.Fatal(err)
	}
	if !p.child.Answered(&m) {
		p.t.Errorf("nobody waits for the answer %d", m.ID())
	}
}

const ls = ".broker:ls null"

func TestChildIsSubscribedToWhatIsWanted(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.wanted = []string{"a", "b/**:get:chng"}
		p.child.Start()
		p.expect(`["client","currentClient"]`, ls)
		p.expect("true", `.broker/currentClient:subscribe "a"`, `.broker/currentClient:subscribe "b/**:get:chng"`)
		p.want("a", "c")
		p.expect("true", `.broker/currentClient:subscribe "c"`, `.broker/currentClient:unsubscribe "b/**:get:chng"`)
		p.want("a", "c")
		p.expect("true")
		// What ends with its time is found without a word.
		p.mu.Lock()
		p.wanted = nil
		p.mu.Unlock()
		p.concerns(mustRI(t, "else/**")) // not in its tree
		p.expect("true")
		time.Sleep(childbroker.Refresh)
		p.expect("true", `.broker/currentClient:unsubscribe "a"`, `.broker/currentClient:unsubscribe "c"`)
		if len(p.failures) > 0 {
			t.Error(p.failures)
		}
	})
}

// Somebody who reached the child's node by another way has ended a subscription: it is made again.
func TestSubscriptionsHeal(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.wanted = []string{"a", "b"}
		p.child.Start()
		p.expect(`["client","currentClient"]`, ls)
		p.expect("true", `.broker/currentClient:subscribe "a"`, `.broker/currentClient:subscribe "b"`)
		p.want("a", "b")
		p.expect("true") // not with each change of others
		for range 3 {
			time.Sleep(childbroker.Refresh)
			p.expect("false", `.broker/currentClient:subscribe "a"`, `.broker/currentClient:subscribe "b"`)
		}
		p.want()
		p.expect("true", `.broker/currentClient:unsubscribe "a"`, `.broker/currentClient:unsubscribe "b"`)
		time.Sleep(childbroker.Refresh)
		p.expect("true")
	})
}

// The API of SHV 2 knows a path and all below, without globs: at least what is wanted.
func TestOldChildIsSubscribedToAtLeastThat(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.wanted = []string{"a/b:get:chng", "a/b/*:*:al*", "**:*:*"}
		p.child.Start()
		p.expect(`["app","clients"]`, ls)
		p.expect("true",
			`.broker/app:subscribe {"method":"","path":"","source":""}`,
			`.broker/app:subscribe {"method":"","path":"a/b","source":""}`,
			`.broker/app:subscribe {"method":"chng","path":"a/b","source":"get"}`)
		p.want()
		p.expect("true",
			`.broker/app:unsubscribe {"method":"","path":"","source":""}`,
			`.broker/app:unsubscribe {"method":"","path":"a/b","source":""}`,
			`.broker/app:unsubscribe {"method":"chng","path":"a/b","source":"get"}`)
	})
}

// A device of a user who may be a broker is left alone.
func TestDeviceIsNotAskedAgain(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.wanted = []string{"a"}
		p.child.Start()
		p.refuse(rpc.NotFound("ls", ".broker"))
		p.want("a", "b")
		time.Sleep(10 * childbroker.Refresh)
		p.expect("true")
		if len(p.failures) > 0 {
			t.Error(p.failures)
		}
	})
}

func TestFailedCallsAreRepeated(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		failed := func(want string) {
			t.Helper()
			synctest.Wait()
			if len(p.failures) != 1 || p.failures[0].Error() != want {
				t.Errorf("failures %q, want %q", p.failures, want)
			}
			p.failures = nil
		}
		p.wanted = []string{"a"}
		p.child.Start()
		// No answer.
		messages, _ := p.calls()
		time.Sleep(childbroker.CallWait)
		failed("it does not answer")
		var late rpc.Message
		if err := late.Parse(rpc.AppendResult(nil, rpc.Address{ID: messages[0].ID()}, chainpack.Null())); err != nil {
			t.Fatal(err)
		}
		if p.child.Answered(&late) {
			t.Error("an answer that is too late is taken")
		}
		// An error.
		time.Sleep(childbroker.Retry)
		p.refuse(rpc.Errorf(rpc.CodeTryAgainLater, "not now"))
		failed("not now")
		time.Sleep(childbroker.Retry)
		p.expect(`[]`, ls)
		p.refuse(rpc.Errorf(rpc.CodeException, "no"))
		failed("no")
		// It cannot be sent; what is wanted meanwhile is tried at once.
		p.lost = errors.New("queue is full")
		p.want("a", "b")
		time.Sleep(childbroker.Gather)
		failed("queue is full")
		p.lost = nil
		time.Sleep(childbroker.Retry)
		p.expect("true", `.broker/currentClient:subscribe "a"`, `.broker/currentClient:subscribe "b"`)
		p.expect("true")
	})
}

// Of several calls, each that was answered counts, whatever becomes of the others.
func TestAnsweredCallsCount(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.wanted = []string{"a", "b"}
		p.child.Start()
		p.expect(`[]`, ls)
		messages, _ := p.calls()
		time.Sleep(childbroker.CallWait - 2*childbroker.Gather)
		p.answer(rpc.AppendResult(nil, rpc.Address{ID: messages[1].ID()}, chainpack.Bool(true)))
		content, _ := messages[0].Content()
		left, _ := content.Value.AsString()
		time.Sleep(childbroker.CallWait + childbroker.Retry)
		p.expect("true", fmt.Sprintf(`.broker/currentClient:subscribe %q`, left))
	})
}

func TestCallsUnderWayAreBounded(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		const n = 2*childbroker.MaxCalls + 1
		for i := range n {
			p.wanted = append(p.wanted, fmt.Sprint("x", i))
		}
		p.child.Start()
		p.expect(`[]`, ls)
		for _, want := range []int{childbroker.MaxCalls, childbroker.MaxCalls, 1} {
			messages, _ := p.calls()
			if len(messages) != want {
				t.Errorf("%d calls at once, want %d", len(messages), want)
			}
			for _, m := range messages {
				p.answer(rpc.AppendResult(nil, rpc.Address{ID: m.ID()}, chainpack.Bool(true)))
			}
		}
		p.expect("true")
	})
}

// Stop does not wait for the child, whatever is under way.
func TestStopIsPrompt(t *testing.T) {
	withPeer(t, func(t *testing.T, p *peer) {
		p.child.Start()
		p.calls()
		began := time.Now()
		p.child.Stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("took %v", took)
		}
		if len(p.failures) > 0 {
			t.Error(p.failures)
		}
	})
	withPeer(t, func(*testing.T, *peer) {}) // it was never started
}
