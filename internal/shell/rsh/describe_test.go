package rsh

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

func TestNearestNameIsFound(t *testing.T) {
	names := []string{".broker", "agent", "pump7", "pump8", "boiler-room"}
	for wanted, want := range map[string]string{
		"agnet":       "agent",
		"agents":      "agent",
		"Agent":       "agent",
		"pmup7":       "pump7",
		"pump9":       "", // another device
		"pump":        "",
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
		{"test", "agnet", []string{"agent"}, "test has no agnet, did you mean test/agent?"},
		{"", "tset", []string{"test"}, "the broker has no tset, did you mean test?"},
		{"test", "agent", nil, "test has no agent"},
		{"test", "agent", []string{"quite-else"}, "test has no agent"},
	} {
		if got := missing(tt.at, tt.name, tt.names); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestLoginErrorsNameThePath(t *testing.T) {
	refused := fmt.Errorf("%w at tcp://h:1: %w", client.ErrRefused, rpc.Errorf(rpc.CodeException, "unknown user"))
	inSHV2 := fmt.Errorf("%w at tcp://h:1: %w", client.ErrRefused, rpc.Errorf(rpc.CodeException,
		"Invalid authentication for user: iot reason: unknown user or wrong password"))
	for _, tt := range []struct {
		err      error
		unlisted string
		want     string
	}{
		{refused, "", "test/pump7: login refused: unknown user"},
		{refused, "pump7", "test/pump7: login refused: unknown user"},
		{inSHV2, "", "test/pump7: login refused: unknown user or wrong password"},
		{errors.New("cannot connect to h"), "", "test/pump7: cannot connect to h"},
		{errors.New("cannot connect to h"), "pump7", "test/pump7: cannot connect to h; no host pump7 in config.yaml"},
	} {
		s := &session{opts: Options{Path: "test/pump7", Unlisted: tt.unlisted}}
		if got := s.describeLogin(tt.err).Error(); got != tt.want {
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
		{"request of an agent", &rpc.TunnelCtl{State: rpc.FindTunnelRequest}, "has no tunnels"},
		{"result of another method", nil, "not a shvagent"},
	} {
		var m rpc.Message
		if err := m.Parse(rpc.AppendTunnel(nil, rpc.Address{ID: 3}, rpc.Meta{Tunnel: tt.ctl}, rpc.KeyResult,
			chainpack.Null())); err != nil {
			t.Fatal(err)
		}
		s := &session{failed: make(chan error, 1)}
		s.receive(&m, nil)
		if err := <-s.failed; !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}
