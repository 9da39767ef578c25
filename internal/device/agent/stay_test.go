package agent_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/rs/zerolog"

	"shvtools/internal/device/agent"
	"shvtools/internal/test/world"
)

// record is what was logged.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// A broker says when the next login makes sense, and one that then says nothing does not hide
// what is wrong.
func TestRefusedAgentWaitsAsLongAsItIsToldAndKeepsTheRefusal(t *testing.T) {
	o, log := options(t), new(record)
	o.Status, o.Log, o.Timeout = agent.NewStatus(time.Now), zerolog.New(log), time.Second
	w := started(t, o)
	w.greet()
	refused := time.Now()
	w.Send(`<1:1,8:2>i{3:i{1:8,2:"wrong password; too many failed logins, next try in 2 s",3:{"retryIn":2}}}`)
	w.greet()
	if waited := time.Since(refused); waited < 2*time.Second {
		t.Errorf("tried again after %v", waited)
	}
	// The second login is not answered.
	world.Eventually(t, "the timeout is the last error",
		func() bool { return strings.Contains(o.Status.Report().LastError, "no answer within") })
	if r := o.Status.Report(); !strings.Contains(r.LastRefusal, "wrong password") {
		t.Errorf("status %+v", r)
	}
	world.Eventually(t, "the log has both", func() bool {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "no answer within") && strings.Contains(line, `"lastRefusal":`) {
				return true
			}
		}
		return false
	})
	w.accept()
	world.Eventually(t, "a connection ends it",
		func() bool { r := o.Status.Report(); return r.Connected && r.LastRefusal == "" })
}

// A broker that does not mount a device says so in one of four ways. The agent
// must not hammer at it, and must say what is wrong where people look.
func TestMountThatIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(w *brokerSide)
		want   string
	}{
		"by the login": {func(w *brokerSide) {
			w.Send(`<1:1,8:2>i{3:i{1:8,2:"test/agent is somebody else's"}}`)
		}, "test/agent is somebody else's"},
		"as the standard tells it": {func(w *brokerSide) {
			w.Send(`<1:1,8:2>i{2:null}`)
			w.Value()
			w.Send(`<1:1,8:3>i{2:i{3:null}}`)
		}, "did not mount this device at test/agent: its user may not mount there"},
		"as a C++ broker tells it": {func(w *brokerSide) {
			w.Send(`<1:1,8:2>i{2:{"clientId":1}}`)
			w.Value()
			w.Send(`<1:1,8:3>i{3:i{1:2}}`)
			w.Value()
			w.Send(`<1:1,8:4>i{2:""}`)
		}, "did not mount this device at test/agent: its user may not mount there"},
		"as the Rust broker tells it": {func(w *brokerSide) {
			w.Send(`<1:1,8:2>i{2:{"clientId":1}}`)
			w.Send(`<1:1,9:".app",10:"disconnectbybroker">i{1:"the mount point is taken"}`)
			w.Close()
		}, "the broker refuses this device: the mount point is taken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, log := options(t), new(record)
			o.Status, o.Log = agent.NewStatus(time.Now), zerolog.New(log)
			w := started(t, o)
			w.greet()
			refused := time.Now()
			test.refuse(w)
			world.Eventually(t, "the status tells",
				func() bool { return strings.Contains(o.Status.Report().LastError, test.want) })
			if r := o.Status.Report(); r.Connected || r.LastBroker == "" {
				t.Errorf("status %+v", r)
			}
			world.Eventually(t, "the log tells, and when it will be tried again", func() bool {
				text := log.String()
				return strings.Contains(text, test.want) && strings.Contains(text, `"retryIn":"`)
			})
			w.accept()
			if waited := time.Since(refused); waited < 100*time.Millisecond {
				t.Errorf("it came back after %v", waited)
			}
			world.Eventually(t, "it is connected", func() bool { return o.Status.Report().Connected })
			w.check(1, "", "appName", "null", `i{2:"shvagent"}`)
		})
	}
}

// jumped is now on a clock that somebody has set forward or back, while the time
// since the start of the machine went on: package time keeps both.
func jumped(by time.Duration) time.Time {
	now := time.Now()
	const wallSecond = 1 << 30 // time.Time: the second is above 30 bits of nanoseconds
	fields := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&now))
	fields.wall += uint64(int64(by/time.Second) * wallSecond)
	return now
}

func TestJumpOfTheClockMovesNoDuration(t *testing.T) {
	for _, by := range []time.Duration{30 * 365 * 24 * time.Hour, -30 * 365 * 24 * time.Hour} {
		began, jump := time.Now(), time.Duration(0)
		if passed := jumped(by).Sub(began); passed < 0 || passed > deadline ||
			jumped(by).Round(0).Sub(began.Round(0)).Abs() < by.Abs()/2 {
			t.Fatalf("the test's clock does not jump as it should: %v", passed)
		}
		s := agent.NewStatus(func() time.Time { return jumped(jump) })
		jump = by
		r := s.Report()
		if r.For < 0 || r.For > deadline.Seconds() {
			t.Errorf("a jump by %v: not connected for %v s", by, r.For)
		}
		if off := r.Since.Sub(began.Add(by).Round(0)).Abs(); off > deadline {
			t.Errorf("a jump by %v: since %v", by, r.Since)
		}
	}
}

func TestStatusFileThatCannotBeWrittenIsToldOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // no directory can be there
		t.Fatal(err)
	}
	file := filepath.Join(dir, "status")
	synctest.Test(t, func(t *testing.T) {
		const interval = time.Second
		var failures []error
		ctx, cancel := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		writing.Go(func() {
			agent.NewStatus(time.Now).WriteStatus(ctx, file, interval, func(err error) { failures = append(failures, err) })
		})
		defer writing.Wait()
		defer cancel()
		time.Sleep(20*interval + interval/2)
		synctest.Wait()
		if len(failures) != 1 || failures[0] == nil {
			t.Errorf("of 21 failures it told %v", failures)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(interval)
		synctest.Wait()
		if text, err := os.ReadFile(file); string(text) != "0" {
			t.Errorf("the file has %q, %v", text, err)
		}
	})
}
