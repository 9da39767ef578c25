package e2e_test

import (
	"regexp"
	"strings"
	"testing"
)

// Secrets may only be in a journal that the operator made unsafe.
func TestJournalKeepsSecrets(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	rsh := w.shvrsh(device)
	rsh.Env = append(rsh.Env, "LANG=xx_PRIVATE", "LC_TIME=yy_PRIVATE", "SHV_USER=iot", "SHV_PASSWORD=lub42DUB")
	term := w.open(80, 24, rsh)
	term.expect(prompt)
	term.run("echo typed-$((40+2))")
	term.typeKeys("exit\r")
	term.ends(0)
	w.rshWith(strings.NewReader("given-text"), "cat").wants(t, 0, "given-text", "")
	eventually(t, patience, "all helpers end", func() bool { return len(w.helpers()) == 0 })

	text := w.journal()
	if !strings.Contains(text, "State:5") {
		t.Fatal("the journal is empty")
	}
	for _, secret := range []string{"lub42DUB", "PRIVATE", "typed", "given", prompt} {
		if strings.Contains(text, secret) {
			t.Errorf("the journal shows %q", secret)
		}
	}
	// Password hashes and tunnel secrets both have 40 digits.
	if found := regexp.MustCompile(`[0-9a-fA-F]{40}`).FindString(text); found != "" {
		t.Errorf("the journal shows %s", found)
	}
}
