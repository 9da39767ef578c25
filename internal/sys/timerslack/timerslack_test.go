package timerslack_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"shvtools/internal/sys/timerslack"
)

// slackOf starts a program under slack d and gives what it had, in nanoseconds.
func slackOf(t *testing.T, d time.Duration) string {
	t.Helper()
	var out []byte
	err := timerslack.Start(d, func() (err error) {
		out, err = exec.Command("cat", "/proc/self/timerslack_ns").Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestProcessGetsItsSlackAndTheThreadKeepsItsOwn(t *testing.T) {
	if _, err := os.Stat("/proc/self/timerslack_ns"); err != nil {
		t.Skipf("this kernel shows no timer slack: %v", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	timerslack.Set(70 * time.Microsecond)
	defer timerslack.Set(timerslack.System)
	if got := slackOf(t, timerslack.Calm); got != "1000000" {
		t.Errorf("the process had a slack of %s ns, want 1000000", got)
	}
	if timerslack.Has(71*time.Microsecond) || !timerslack.Has(70*time.Microsecond) {
		t.Error("the thread has not its own slack any more")
	}
	if got := slackOf(t, timerslack.System); got != "50000" {
		t.Errorf("the process had a slack of %s ns, want 50000", got)
	}
}
