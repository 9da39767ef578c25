package auth_test

import (
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/rpc"
)

func TestLeastIsWhatNoPlaceBelowIsUnder(t *testing.T) {
	t.Parallel()
	rule := auth.MustRule
	for _, tt := range []struct {
		rules []auth.Rule
		path  string
		want  rpc.Access
	}{
		{nil, "m", rpc.AccessNone},
		{[]auth.Rule{rule("**:*", rpc.AccessSuper)}, "m", rpc.AccessSuper},
		{[]auth.Rule{rule("m/**", rpc.AccessSuper)}, "m", rpc.AccessSuper},
		{[]auth.Rule{rule("m/**", rpc.AccessSuper)}, "m/s", rpc.AccessSuper},
		{[]auth.Rule{rule("m/a/**", rpc.AccessSuper)}, "m", rpc.AccessNone}, // not all of it
		{[]auth.Rule{rule("m/**:get", rpc.AccessSuper)}, "m", rpc.AccessNone},
		{[]auth.Rule{rule("m/a:set", rpc.AccessNone), rule("**", rpc.AccessSuper)}, "m", rpc.AccessNone},
		{[]auth.Rule{rule("m/a:set", rpc.AccessNone), rule("**", rpc.AccessSuper)}, "m/b", rpc.AccessSuper},
		{[]auth.Rule{rule("*/a/**", rpc.AccessRead), rule("**", rpc.AccessSuper)}, "m", rpc.AccessRead},
		{[]auth.Rule{rule("**:set", rpc.AccessRead), rule("**", rpc.AccessSuper)}, "m", rpc.AccessRead},
		{[]auth.Rule{rule("**", rpc.AccessSuper), rule("m/a", rpc.AccessNone)}, "m", rpc.AccessSuper}, // never decides
		{[]auth.Rule{rule("m/a:get:chng", rpc.AccessNone), rule("**", rpc.AccessSuper)}, "m", rpc.AccessSuper},
	} {
		u := &auth.User{Rules: tt.rules}
		if got := u.Least(tt.path); got != tt.want {
			t.Errorf("%v below %s: %s, want %s", tt.rules, tt.path, got, tt.want)
		}
	}
}
