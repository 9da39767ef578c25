package daemon

import (
	"testing"

	"shvtools/internal/broker/config"
	"shvtools/internal/wire/transport"
)

func TestListenersThatCannotBeOpenedBesideEachOtherAreFound(t *testing.T) {
	for _, tt := range []struct {
		one, other string
		want       bool
	}{
		{"tcp://127.0.0.1:1", "ssl://127.0.0.1:1", true},
		{"tcp://localhost:1", "ssl://127.0.0.1:1", true},
		{"tcp://broker:1", "ssl://broker:1", true},
		{"tcp://0.0.0.0:1", "ssl://127.0.0.1:1", true},
		{"tcp://192.0.2.1:1", "ssl://[::]:1", true},
		{"tcp://[::]:1", "tcp://[::1]:1", true},
		{"tcp://[::]:1", "tcp://[::]:1", true},
		{"unix:/s", "unix:/s", true},
		{"unix:/s", "unix:/r", false},
		{"unix:/s", "tcp://127.0.0.1:1", false},
		{"tcp://127.0.0.1:1", "ssl://127.0.0.1:2", false},
		{"tcp://127.0.0.1:1", "ssl://[::1]:1", false},
		{"tcp://0.0.0.0:1", "ssl://[::1]:1", false},
		{"tcp://0.0.0.0:1", "ssl://[::]:1", false},
		{"tcp://127.0.0.1:0", "ssl://127.0.0.1:0", false},
		{"tcp://127.0.0.1?socket=a", "ssl://127.0.0.1:3755", false},
	} {
		var specs []ListenSpec
		for _, text := range []string{tt.one, tt.other} {
			u, err := transport.ParseListenURL(text)
			if err != nil {
				t.Fatal(err)
			}
			specs = append(specs, ListenSpec{URL: u})
		}
		for range 2 {
			if got := len(Clashes(specs, new(config.Config))) == 1; got != tt.want {
				t.Errorf("%s beside %s: %v", specs[0].URL, specs[1].URL, got)
			}
			specs[0], specs[1] = specs[1], specs[0]
		}
	}
	u, _ := transport.ParseListenURL("tcp://0.0.0.0:9375")
	c := &config.Config{Operation: config.Operation{Metrics: "127.0.0.1:9375"}}
	if got := Clashes([]ListenSpec{{URL: u}}, c); len(got) != 1 {
		t.Errorf("metrics: %v", got)
	}
}
