package rsh

import (
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

func TestNearestNameIsFound(t *testing.T) {
	names := []string{".broker", "agent", "pump7", "pump8", "boiler-room"}
	for wanted, want := range map[string]string{
		"agnet":       "agent",
		"agents":      "agent",
		"Agent":       "agent",
		"pump9":       "pump7", // the first of equals
		"pump":        "pump7",
		"boiler_room": "boiler-room",
		"broker":      "", // what begins with a dot is not for users
		"x":           "",
		"":            "",
		"quite-else":  "",
	} {
		if got := closest(wanted, names); got != want {
			t.Errorf("%s: %q, want %q", wanted, got, want)
		}
	}
	if got := closest("x", nil); got != "" {
		t.Errorf("out of nothing: %q", got)
	}
}

func TestDistanceCountsChanges(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "abc", 3},
		{"abc", "abd", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1},
		{"kitten", "sitting", 3}, {"agnet", "agent", 2},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if distance(tt.a, tt.b) != distance(tt.b, tt.a) {
			t.Errorf("%q, %q: another distance back", tt.a, tt.b)
		}
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	for _, tt := range []struct {
		at, name string
		names    []string
		want     string
	}{
		{"test", "agnet", []string{"agent"}, "there is no agnet in test, did you mean test/agent?"},
		{"", "tset", []string{"test"}, "there is no tset in the broker, did you mean test?"},
		{"test", "agent", nil, "there is no agent in test"},
		{"test", "agent", []string{"quite-else"}, "there is no agent in test"},
	} {
		if got := missing(tt.at, tt.name, tt.names); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestOfflineIsToldApart(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	e := rpc.Errorf(rpc.CodeMethodNotFound, "not there")
	if _, ok := offlineSince(e); ok {
		t.Error("offline without a word of it")
	}
	e.Data = chainpack.Map(chainpack.F("offlineSince", chainpack.Time(at)))
	if got, ok := offlineSince(e); !ok || !got.Equal(at) {
		t.Errorf("offline since %v, %v", got, ok)
	}
	e.Data = chainpack.Map(chainpack.F("offlineSince", chainpack.String("today")))
	if _, ok := offlineSince(e); ok {
		t.Error("offline since a text")
	}
}

// A broker that knows no tunnels passes the agent's request for one on to us.
func TestBrokerWithoutTunnelsIsSaid(t *testing.T) {
	for _, tt := range []struct {
		name string
		ctl  *rpc.TunnelCtl
		says string
	}{
		{"request of an agent", &rpc.TunnelCtl{State: rpc.FindTunnelRequest}, "knows no tunnels"},
		{"result of another method", nil, "no agent"},
	} {
		var m rpc.Message
		if err := m.Parse(rpc.AppendTunnel(nil, rpc.Address{ID: 3}, rpc.Meta{Tunnel: tt.ctl}, rpc.KeyResult, chainpack.Null())); err != nil {
			t.Fatal(err)
		}
		s := &session{failed: make(chan error, 1)}
		s.receive(&m, nil)
		if err := <-s.failed; !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}
