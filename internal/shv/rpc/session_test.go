package rpc_test

import (
	"strings"
	"testing"

	"shvtools/internal/shv/rpc"
)

func TestNamesOfSessionsDoNotShowTheSecret(t *testing.T) {
	const secret = "8e2f00112233445566778899aabbccddeeff0011"
	name := rpc.SessionName(secret)
	if len(name) != 18 || !strings.HasPrefix(name, "s-") || strings.Contains(secret, name[2:]) {
		t.Errorf("got %s", name)
	}
	if other := rpc.SessionName(secret[:39] + "2"); other == name || rpc.SessionName(secret) != name {
		t.Errorf("%s, %s", name, other)
	}
}

func TestNamesOfCalls(t *testing.T) {
	for want, a := range map[string]rpc.Address{
		"c7-12": {ID: 12, Callers: rpc.CallerIDs{7}}, "c7.3-12": {ID: 12, Callers: rpc.CallerIDs{7, 3}}, "c-1": {ID: 1},
	} {
		if got := a.CallName(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
