package pki

import (
	"path/filepath"
	"shvtools/internal/sys/durable"
	"strings"
	"testing"
	"time"
)

// A clock that is wrong makes certificates that are not valid yet, or not any more.
func TestAClockThatIsBehindIssuesNothing(t *testing.T) {
	if checkClock(time.Unix(0, 0)) == nil || checkClock(time.Now()) != nil {
		t.Error("a clock that was never set is taken")
	}
	dir := filepath.Join(t.TempDir(), "site")
	if _, err := Init(dir, []string{"h"}); err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	_, text, err := newList(a.cert, a.key, a.crl, nil, time.Now().Add(2*backdate))
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(a.path(caDir, crlFile), text, openMode); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("with a list of tomorrow: %v", err)
	}
}
