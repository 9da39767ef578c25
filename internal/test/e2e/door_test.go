package e2e_test

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// An agent with an old password is told how long to wait, keeps to that and says what is
// wrong. It hides nobody else's refusals from the log, and keeps out nobody.
func TestAgentWithAnOldPasswordIsToldToWaitAndHidesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configuredBroker(configured)
	var guesses sync.WaitGroup
	for range 6 { // at once: none is held back yet
		guesses.Go(func() { w.refusesAt("device", "old") })
	}
	guesses.Wait()
	cmd := exec.Command(program("shvagent"), "--mount", device, "--socket", w.socket(),
		"--url", w.url+"?user=device&password=old")
	cmd.Env = environment()
	w.agent = w.launch(cmd)
	line := w.agent.says(t, "not connected to the broker", "too many failed logins, next try in ")
	_, retry, _ := strings.Cut(line, "retryIn=")
	text := append(strings.Fields(retry), "nothing")[0]
	if wait, err := time.ParseDuration(text); err != nil || wait < 20*time.Second {
		t.Errorf("it waits %v: %s", wait, line)
	}
	if r := w.status(); !strings.Contains(string(r.stdout), "too many failed logins") {
		t.Errorf("status: %s", r.stdout)
	}
	if !w.refusesAt("eva", "mistyped") {
		t.Error("a wrong password is not refused")
	}
	w.broker.says(t, "login refused", "user=eva", "error=", "wrong password")
	began := time.Now()
	w.logIn("device").Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the right password took %v", took)
	}
}
