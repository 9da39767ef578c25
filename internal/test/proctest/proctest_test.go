package proctest_test

import (
	"bytes"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/test/proctest"
)

func TestUntilGivesUpAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, looks := time.Now(), 0
		if proctest.Until(time.Minute, func() bool { looks++; return false }) {
			t.Error("done, although it never was")
		}
		if took := time.Since(start); took < time.Minute || took > time.Minute+time.Second || looks < 2 {
			t.Errorf("gave up after %v and %d looks", took, looks)
		}
		if !proctest.Until(time.Minute, func() bool { return time.Since(start) > 90*time.Second }) {
			t.Error("not done, although it was within the limit")
		}
	})
}

// A test that was stopped for long must look once more before it fails.
func TestUntilLooksAgainAfterALongStop(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		looks := 0
		done := proctest.Until(time.Second, func() bool {
			looks++
			time.Sleep(time.Hour) // the stop, in virtual time
			return looks == 2
		})
		if !done || looks != 2 {
			t.Errorf("done is %t after %d looks", done, looks)
		}
	})
}

func TestRecordAwaitsOutputOfAnEndedProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, ended := proctest.NewRecord(), make(chan struct{})
		close(ended)
		go func() {
			time.Sleep(time.Second) // in virtual time: the terminal still holds the output
			_, _ = r.Write([]byte("last words"))
		}()
		if !r.Await(func(b []byte) bool { return bytes.HasSuffix(b, []byte("words")) }, ended) {
			t.Errorf("only %q was seen", r)
		}
		start := time.Now()
		if r.Await(func(b []byte) bool { return len(b) > 100 }, ended) {
			t.Errorf("%q is enough", r)
		}
		if took := time.Since(start); took >= proctest.Patience {
			t.Errorf("gave up only after %v, although the program had ended", took)
		}
	})
}

func TestStopEndsAProgramThatIsStopped(t *testing.T) {
	out := proctest.NewRecord()
	p, err := proctest.Start(exec.Command("/bin/sh", "-c", "echo begun; kill -STOP $$; exec sleep 1000"), out)
	if err != nil {
		t.Fatal(err)
	}
	begun := func(b []byte) bool { return bytes.Contains(b, []byte("begun")) }
	if !out.Await(begun, p.Ended) || !p.Running() {
		t.Errorf("%s, wrote %q", p.State(), out)
	}
	p.Stop(t)
	if p.Running() || p.State() != "signal: terminated" {
		t.Errorf("after Stop: %s", p.State())
	}
}
