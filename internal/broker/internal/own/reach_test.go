package own_test

import (
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// By no name does a client give more than by its mount point: its id here, its id at a broker below
// that is mounted, or one behind a broker that is not.
func TestNoNameGivesMoreThanTheMountPoint(t *testing.T) {
	none, cmd, ssrv, su := rpc.AccessNone, rpc.AccessCommand, rpc.AccessSuperService, rpc.AccessSuper
	b := &broker{clients: map[int64]*client{
		1: {id: 1, info: own.Info{MountPoint: "plant/secret"}}, 2: {id: 2, info: own.Info{MountPoint: "plant/pump"}},
		3: {id: 3}, 4: {id: 4, info: own.Info{MountPoint: "sub"}},
	}}
	rules := func(list ...auth.Rule) *auth.User { return &auth.User{Rules: list} }
	admin := rules(auth.MustRule("**:*", su))
	deny := rules(auth.MustRule("plant/secret/**:*", none), auth.MustRule("plant/pump/x:*", cmd),
		auth.MustRule("sub/closed/**", none), auth.MustRule("**:*", su))
	wide := rules(auth.MustRule("plant/secret/**:*", none), auth.MustRule("**:*", cmd))
	part := rules(auth.MustRule("sub/a/**", su), auth.MustRule("sub/.broker/**", su))
	for _, tt := range []struct {
		path                     string
		admin, deny, wide, parts rpc.Access
	}{
		{"plant/secret/x", su, none, none, none},
		{".broker/client/1", su, none, none, none},
		{".broker/client/1/x", su, none, none, none},
		{".broker/clients/1/app/x", su, none, none, none},
		{".broker/clients/1", su, su, cmd, none}, // about the client; its methods have levels
		{".broker/client/2/y", su, su, none, none},
		{".broker/client/2/x", su, cmd, none, none},
		{".broker/client/3/x", su, su, none, none}, // is mounted nowhere
		{".broker/client/9/x", su, su, none, none}, // does not exist
		{".broker/client", su, su, cmd, none},
		// Its clients may be mounted anywhere below it.
		{"sub/.broker/client/7/x", su, none, none, none},
		{"sub/s/.broker/client/7/x", su, su, none, none}, // sub/closed is not below sub/s
		{"sub/'.broker'/client/7", su, none, none, none},
		{"sub/.broker/'client'/7", su, none, none, none},
		{"sub/.broker/clients/7/app", su, none, none, none},
		{"sub/.broker/clients/7", su, su, cmd, su},
		{".broker/client/4/.broker/client/7/x", su, none, none, none},
		{".broker/client/4/closed/x", su, none, none, none},
		{".broker/client/3/.broker/client/7/x", su, su, none, none},
		{"sub/.broker2/client/7", su, su, cmd, none}, // are no ids
		{"sub/x.broker/client/7", su, su, cmd, none},
		{"sub/.broker/client", su, su, cmd, su},
	} {
		for _, of := range []struct {
			name  string
			rules own.Rules
			want  rpc.Access
		}{{"admin", admin, tt.admin}, {"deny", deny, tt.deny}, {"wide", wide, tt.wide}, {"part", part, tt.parts}} {
			if got := own.Level(b, of.rules, []byte(tt.path), []byte("get")); got != of.want {
				t.Errorf("%s of %s: %s, want %s", tt.path, of.name, got, of.want)
			}
		}
	}
	if got := own.Level(b, rules(auth.MustRule("**", ssrv)), []byte(".broker/client/3"), nil); got != ssrv {
		t.Errorf("with the lowest level that is enough: %s", got)
	}
	for path, want := range map[string]string{
		".broker/client/1/x/y": "plant/secret/x/y", ".broker/clients/1/app": "plant/secret",
		".broker/client/3/x": ".broker/client/3/x",
		"plant/secret":       "plant/secret", "sub/.broker/client/1": "sub/.broker/client/1",
		".broker/clients/1": ".broker/clients/1",
	} {
		if got := string(own.ByMount(b, []byte(path))); got != want {
			t.Errorf("%s by its mount point: %s, want %s", path, got, want)
		}
	}
}

// What is about the direct peer is never about somebody behind it.
func TestCallsOfTheDirectPeerAlone(t *testing.T) {
	for _, tt := range []struct {
		path, method string
		level        rpc.Access
		want         bool
	}{
		{".broker/currentClient", "subscribe", rpc.AccessSuper, true},
		{".broker/currentClient", "unsubscribe", rpc.AccessSuper, true},
		{".broker/currentClient", "changePassword", rpc.AccessSuper, true},
		{".broker/currentClient", "subscriptions", rpc.AccessRead, true},
		{".broker/currentClient", "subscriptions", rpc.AccessSuperService, false},
		{".broker/currentClient", "info", rpc.AccessBrowse, true},
		{".broker/currentClient", "ls", rpc.AccessBrowse, false},
		{".broker/currentClient", "dir", rpc.AccessBrowse, false},
		{".broker/app", "subscribe", rpc.AccessSuper, true},
		{".broker/app", "unsubscribe", rpc.AccessSuper, true},
		{".broker/app", "rejectNotSubscribed", rpc.AccessSuper, true},
		{".broker/app", "ping", rpc.AccessBrowse, false},
		{"a/b/.broker/app", "unsubscribe", rpc.AccessSuper, true},
		{".local/.broker/app", "unsubscribe", rpc.AccessSuper, true},
		{".broker/client/3/.broker/currentClient", "unsubscribe", rpc.AccessSuper, true},
		{"'.broker'/app", "unsubscribe", rpc.AccessSuper, true},
		{".broker/'currentClient'", "unsubscribe", rpc.AccessSuper, true},
		{"broker/app", "unsubscribe", rpc.AccessRead, false},
		{".broker/apps", "unsubscribe", rpc.AccessRead, false},
		{".broker", "unsubscribe", rpc.AccessRead, false},
		{".broker/currentClient/x", "unsubscribe", rpc.AccessRead, false},
		{"x", "subscribe", rpc.AccessRead, false},
	} {
		if got := own.OfCaller([]byte(tt.path), []byte(tt.method), tt.level); got != tt.want {
			t.Errorf("%s:%s with %s: %v", tt.path, tt.method, tt.level, got)
		}
	}
}

// Whatever a path looks like, it never gives more than the rules say for it, and a path that leads to
// a client by its id takes a level for it.
func FuzzLevel(f *testing.F) {
	for _, path := range []string{
		"plant/x", ".broker/client/1/x", ".broker/clients/1/app", "sub/.broker/client/7", "'.broker'/client/1",
		".broker/client",
		"a/.broker/.broker/client/2", "'", ".broker", "a/'.broker", ".broker/client/4/.broker/client/4/x",
	} {
		f.Add(path, "get")
	}
	b := &broker{clients: map[int64]*client{
		1: {id: 1, info: own.Info{MountPoint: "plant/secret"}}, 4: {id: 4, info: own.Info{MountPoint: "sub"}}}}
	low := &auth.User{Rules: []auth.Rule{auth.MustRule("**", rpc.AccessDevelopment-1)}}
	cmd := &auth.User{Rules: []auth.Rule{auth.MustRule("**", rpc.AccessCommand)}}
	f.Fuzz(func(t *testing.T, path, method string) {
		p := shvpath.Clean([]byte(path))
		if got := own.Level(b, low, p, []byte(method)); got > low.Level(p, []byte(method)) {
			t.Errorf("%q: %s", p, got)
		}
		_, _, byID := own.TreeOf(p)
		if got := own.Level(b, cmd, p, []byte(method)); byID && got != rpc.AccessNone {
			t.Errorf("%q: %s by an id", p, got)
		}
		if byID != own.NamesID(p) && byID {
			t.Errorf("%q: an id that is none", p)
		}
		own.OfCaller(p, []byte(method), rpc.AccessRead)
		own.ByMount(b, p)
	})
}
