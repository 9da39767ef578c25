package rpc_test

import (
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// The last name is the one that the callee's own broker wrote; a client can write
// those before it.
func TestUserOfAChain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`null`: "", `""`: "", `"eva"`: "eva", `"root;eva"`: "eva", `"root:b;eva:b"`: "eva", `"root;"`: "", `1`: "",
		`{}`: "", `[]`: "",
		`{"shvUser":"iot","brokerId":"b"}`: "iot", `{"shvUser":1}`: "", `"{\"shvUser\":\"root\"};eva"`: "eva",
	} {
		v, err := cpon.Parse([]byte(text), chainpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := rpc.UserOf(v); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
