package rexec

import (
	"slices"
	"testing"
	"time"
)

// watched are limits with time and activity in the hands of the test.
type watched struct {
	limits
	now   time.Duration
	bytes int64
	shown []string
	end   error
}

func watch(idle, total time.Duration) *watched {
	w := &watched{}
	w.limits = limits{rule: "the rule", idle: idle, total: total}
	w.activity = func() int64 { return w.bytes }
	w.elapsed = func() time.Duration { return w.now }
	w.show = func(text string) {
		w.shown = append(w.shown, text)
		w.bytes += int64(len(text)) // as the tunnel counts it
	}
	return w
}

// until looks whenever that is due; types says whether the user types meanwhile.
func (w *watched) until(at time.Duration, types bool) {
	for w.end == nil && w.now < at {
		again, err := w.look()
		if w.end = err; again == 0 || err != nil {
			return
		}
		w.now += again
		if types {
			w.bytes++
		}
	}
}

func (w *watched) wants(t *testing.T, ended time.Duration, end string, shown ...string) {
	t.Helper()
	text := ""
	if w.end != nil {
		text = w.end.Error()
	}
	if text != end || !slices.Equal(w.shown, shown) {
		t.Errorf("%q ended it, %q was shown; want %q, %q", text, w.shown, end, shown)
	}
	if w.end != nil && (w.now < ended || w.now > ended+ended/10) {
		t.Errorf("it ended after %v, want %v", w.now, ended)
	}
}

func TestAbsoluteLimitWarnsAMinuteBefore(t *testing.T) {
	t.Parallel()
	w := watch(0, time.Hour)
	w.until(59*time.Minute-time.Second, true)
	w.wants(t, 0, "")
	w.until(2*time.Hour, true)
	w.wants(t, time.Hour, "time limit: the rule allows 1h0m0s",
		"this session ends in 1m0s: the rule allows 1h0m0s")
}

func TestIdleLimitWarnsAMinuteBefore(t *testing.T) {
	t.Parallel()
	const end, warn = "idle limit: the rule allows 10m0s without traffic",
		"this session is idle and ends in 1m0s: the rule"
	w := watch(10*time.Minute, 0)
	w.until(10*time.Hour, true)
	w.wants(t, 0, "")
	w = watch(10*time.Minute, 0)
	w.until(10*time.Hour, false)
	w.wants(t, 10*time.Minute, end, warn) // the text itself is no activity
	// A user who types after the warning goes on, and is warned again.
	w = watch(10*time.Minute, 0)
	w.until(9*time.Minute+time.Second, false)
	w.wants(t, 0, "", warn)
	w.bytes++
	w.until(10*time.Hour, false)
	w.wants(t, 19*time.Minute, end, warn, warn)
}

// A limit of a minute or less leaves no time for a warning.
func TestShortLimitsEndWithoutAWarning(t *testing.T) {
	t.Parallel()
	w := watch(0, time.Minute)
	w.until(time.Hour, true)
	w.wants(t, time.Minute, "time limit: the rule allows 1m0s")
	w = watch(time.Minute, 0)
	w.until(time.Hour, false)
	w.wants(t, time.Minute, "idle limit: the rule allows 1m0s without traffic")
}

func TestBothLimits(t *testing.T) {
	t.Parallel()
	w := watch(10*time.Minute, 15*time.Minute)
	w.until(5*time.Minute-30*time.Second, true)
	w.until(time.Hour, false)
	w.wants(t, 14*time.Minute+30*time.Second, "idle limit: the rule allows 10m0s without traffic",
		"this session is idle and ends in 1m0s: the rule", "this session ends in 1m0s: the rule allows 15m0s")
}

// A session without limits never wakes up.
func TestWithoutLimitsNothingIsDue(t *testing.T) {
	t.Parallel()
	if again, err := watch(0, 0).look(); again != 0 || err != nil {
		t.Errorf("%v, %v", again, err)
	}
}
