package rpc_test

import (
	"testing"

	"shvtools/internal/shv/rpc"
)

func TestAccessOfEachFormOfItsTags(t *testing.T) {
	for meta, want := range map[string]rpc.Access{
		``:                        rpc.AccessNone,
		`17:24`:                   rpc.AccessCommand,
		`17:0`:                    rpc.AccessNone,
		`17:-5`:                   rpc.AccessNone,
		`17:1000`:                 rpc.AccessSuper,
		`17:8,14:"su"`:            rpc.AccessRead, // the number wins
		`17:0,14:"su"`:            rpc.AccessNone,
		`17:63,14:"bws"`:          rpc.AccessSuper,
		`14:"wr"`:                 rpc.AccessWrite,
		`14:"rd,dot_local,cfg,x"`: rpc.AccessConfig,
		`14:"ssrv"`:               rpc.AccessSuperService,
		`14:"sur"`:                rpc.AccessNone,
		`14:""`:                   rpc.AccessNone,
		`14:"SU"`:                 rpc.AccessNone,
		`17:8u,14:"bws"`:          rpc.AccessBrowse, // not an Int, as peers write it
		`17:null,14:"dev"`:        rpc.AccessDevelopment,
		// Forms of 2022: a role's name is one of ours or nothing; its numbers are
		// of another scale, so 30 must not become more than it was.
		`14:30`:                        rpc.AccessNone,
		`14:<1:4>i{1:2,3:"su",4:70}`:   rpc.AccessNone,
		`14:"administrators"`:          rpc.AccessNone,
		`17:8,17:1,14:"su",14:"bws"`:   rpc.AccessBrowse,
		`17:1,17:"x",14:"su",14:"bws"`: rpc.AccessBrowse,
	} {
		if got := parse(t, `<8:1,10:"m",`+meta+`>i{}`).Access(); got != want {
			t.Errorf("<%s>: %d, want %d", meta, got, want)
		}
	}
}

func TestAccessNamesRoundTrip(t *testing.T) {
	for _, level := range []rpc.Access{1, 8, 16, 24, 32, 40, 48, 56, 63} {
		for above := range rpc.Access(7) {
			if level == 56 && above >= 7 || level == 63 {
				break
			}
			if got := (level + above).String(); got != level.String() {
				t.Errorf("%d is called %s, %d is called %s", level+above, got, level, level)
			}
		}
		if got, ok := rpc.ParseAccess(level.String()); !ok || got != level {
			t.Errorf("%d is %s, which is %d, %v", level, level, got, ok)
		}
	}
	if s := rpc.AccessNone.String(); s != "" {
		t.Errorf("no access is called %q", s)
	}
}
