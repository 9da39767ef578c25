package daemon

import (
	"testing"

	"shvtools/internal/wire/transport"
)

func TestListenersOnAllAddressesOfBothKinds(t *testing.T) {
	at := func(text string) ListenSpec {
		u, err := transport.ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		return ListenSpec{URL: u}
	}
	for _, tt := range []struct {
		one, other string
		want       bool
	}{
		{"tcp://[::]:1", "ssl://0.0.0.0:1", true},
		{"tcp://[::]:1", "tcp://0.0.0.0:2", false},
		{"tcp://[::]:0", "tcp://0.0.0.0:0", false}, // they get ports of their own
		{"tcp://[::1]:1", "tcp://0.0.0.0:1", false},
		{"tcp://0.0.0.0:1", "tcp://[::]:1", false},
		{"tcp://[::]:1", "unix:/s", false},
	} {
		one, other := at(tt.one), at(tt.other)
		if got := sharesPort(one, []ListenSpec{one, other}); got != tt.want {
			t.Errorf("%s beside %s: %v", tt.one, tt.other, got)
		}
	}
}
