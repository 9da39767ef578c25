package agent_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shvtools/internal/device/agent"
	"shvtools/internal/test/world"
)

// clock is one that a test moves on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) sleep(d time.Duration) { c.ahead.Add(int64(d)) }

// A connection on which nothing comes any more is ended, so an agent that holds on
// to one is stuck; answered heartbeats show that it is not.
func TestAgentIsHealthyWhileItsHeartbeatsAreAnswered(t *testing.T) {
	c := new(clock)
	o := options(t)
	o.Heartbeat, o.Status = time.Second, agent.NewStatus(c.now)
	if !o.Status.Healthy() {
		t.Error("an agent that has not begun is not healthy")
	}
	w := loggedIn(t, o)
	world.Eventually(t, "it is connected", func() bool { return o.Status.Report().Connected })
	c.sleep(20 * time.Second)
	if !o.Status.Healthy() {
		t.Error("not healthy when it is a little late")
	}
	c.sleep(20 * time.Second)
	if o.Status.Healthy() {
		t.Error("healthy, though it was not heard of")
	}
	v := w.answer()
	if !strings.Contains(v, `10:"ping"`) {
		t.Fatalf("no ping: %s", v)
	}
	w.Send(`<1:1,8:5>i{}`)
	world.Eventually(t, "an answer makes it healthy", o.Status.Healthy)
}

func TestAgentWithoutABrokerIsHealthyWhileItTries(t *testing.T) {
	c := new(clock)
	o := options(t)
	o.Status = agent.NewStatus(c.now)
	w := loggedIn(t, o)
	world.Eventually(t, "it is connected", func() bool { return o.Status.Report().Connected })
	_ = w.listener.Close()
	w.Close()
	world.Eventually(t, "the loss is noted", func() bool { return !o.Status.Report().Connected })
	for range 3 {
		c.sleep(45 * time.Second)
		world.Eventually(t, "another try makes it healthy", o.Status.Healthy)
	}
}

func TestAgentTellsInWordsWhatItDoes(t *testing.T) {
	var mu sync.Mutex
	var told []string
	o := options(t)
	o.Status = agent.NewStatus(time.Now)
	o.Status.Tell(func(text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, text)
	})
	w := loggedIn(t, o)
	_ = w.listener.Close()
	world.Eventually(t, "it tells that it is connected",
		func() bool { mu.Lock(); defer mu.Unlock(); return len(told) == 2 })
	w.Close()
	world.Eventually(t, "it tells that it is not", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 3 })
	mu.Lock()
	defer mu.Unlock()
	for i, want := range []string{"connecting to tcp://127.0.0.1:", "connected to tcp://127.0.0.1:", "not connected: ",
		"connecting to "} {
		if !strings.HasPrefix(told[i], want) {
			t.Errorf("told %q, want %s…", told[i], want)
		}
	}
}
