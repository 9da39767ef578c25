package e2e_test

import (
	"syscall"
	"testing"
)

// A broker that is stopped gives sessions a grace period to end by themselves.
func TestDrainWaitsForSessions(t *testing.T) {
	t.Parallel()
	w := setup{brokerOptions: []string{"--drain-grace", "1h"}}.start(t)
	command := marker()
	ends, _ := w.started("echo ready; exec " + command)
	awaitStart(t, command)

	w.broker.signal(t, syscall.SIGTERM)
	eventually(t, patience, "no new session is let in", func() bool { return w.rsh("true").code == 255 })
	ends.signal(t, syscall.SIGTERM) // reaches the command, as without a drain
	if code := ends.code(t); code != 128+int(syscall.SIGTERM) {
		t.Errorf("a command that ended within the grace: exit code %d", code)
	}
	if code := w.broker.code(t); code != 0 {
		t.Errorf("the broker's exit code is %d", code)
	}
}

// Sessions that outlast the grace period are ended, and report the reason.
func TestDrainEndsOpenShells(t *testing.T) {
	t.Parallel()
	w := setup{brokerOptions: []string{"--drain-grace", "100ms"}}.start(t)
	stays := w.shell(80, 24)
	w.broker.signal(t, syscall.SIGTERM)
	stays.ends(255)
	wantsLine(t, stays.stderr(), device, "the broker is stopping")
	if code := w.broker.code(t); code != 0 {
		t.Errorf("the broker's exit code is %d", code)
	}
}

// The broker must not use its grace period if there is nothing to wait for.
func TestDrainWithoutSessionsIsOverAtOnce(t *testing.T) {
	t.Parallel()
	w := setup{brokerOptions: []string{"--drain-grace", "1h"}}.start(t)
	w.rsh("true").wants(t, 0, "", "")
	w.broker.signal(t, syscall.SIGTERM)
	if code := w.broker.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A second SIGTERM ends a broker that still waits for sessions.
func TestSecondSignalEndsADrain(t *testing.T) {
	t.Parallel()
	w := setup{brokerOptions: []string{"--drain-grace", "1h"}}.start(t)
	term := w.shell(80, 24)
	w.broker.signal(t, syscall.SIGTERM)
	eventually(t, patience, "no new session is let in", func() bool { return w.rsh("true").code == 255 })
	w.broker.signal(t, syscall.SIGTERM)
	term.ends(255)
	w.broker.code(t)
}
