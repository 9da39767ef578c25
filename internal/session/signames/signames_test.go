package signames_test

import (
	"syscall"
	"testing"

	"shvtools/internal/session/signames"
)

func TestSignalNamesGoBothWays(t *testing.T) {
	names := map[string]syscall.Signal{
		"INT": 2, "TERM": 15, "HUP": 1, "QUIT": 3, "KILL": 9, "ABRT": 6, "USR1": 10, "USR2": 12,
		"WINCH": 28, "CONT": 18, "TSTP": 20, "STOP": 19, "PIPE": 13, "ALRM": 14, "SEGV": 11, "34": 34, "64": 64,
	}
	for name, sig := range names {
		if got, ok := signames.Number(name); !ok || got != sig {
			t.Errorf("Number(%q) = %d, %v, want %d", name, got, ok, sig)
		}
		if got := signames.Name(sig); got != name {
			t.Errorf("Name(%d) = %q, want %q", sig, got, name)
		}
	}
	for _, name := range []string{"", "SIGINT", "int", "NOSUCH", "0", "-1", "65", "015", "+1"} {
		if sig, ok := signames.Number(name); ok {
			t.Errorf("Number(%q) = %d", name, sig)
		}
	}
}
