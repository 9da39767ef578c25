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

// Each broker adds its user and itself, and a name is never taken for more than it is.
func TestBrokersAddTheirUserToTheChain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		tag, user string
		trusted   bool
		want      string
		names     string // whom a device takes for the caller
	}{
		{``, "eva", false, `null`, ""},
		{`,16:null`, "eva", false, `null`, ""},
		{`,16:""`, "eva", false, `"eva:b"`, "eva"},
		{`,16:"x"`, "eva", false, `"x;eva:b"`, "eva"},
		{`,16:"root:b"`, "eva", false, `"root:b;eva:b"`, "eva"},
		{`,16:{"shvUser":"root"}`, "eva", false, `"{\"shvUser\":\"root\"};eva:b"`, "eva"},
		{`,16:""`, "x;root", false, `"x%3Broot:b"`, "x%3Broot"},
		{`,16:""`, "root:x", false, `"root%3Ax:b"`, "root%3Ax"},
		{`,16:""`, "", false, `":b"`, ""},
		{`,16:"root"`, "", false, `"root;:b"`, ""}, // only a parent broker names the user
		// From above.
		{``, "", true, `null`, ""},
		{`,16:"x;john"`, "", true, `"x;john;john:b"`, "john"}, // an old broker of ours
		{`,16:"x;john:up"`, "", true, `"x;john:up;john:b"`, "john"},
		{`,16:{"brokerId":"up","shvUser":"iot"}`, "", true, `"iot:up;iot:b"`, "iot"},
		{`,16:""`, "", true, `":b"`, ""},
		{`,16:{}`, "", true, `{}`, ""},
		{`,16:"x;"`, "", true, `"x;;:b"`, ""},
		{`,16:["root"]`, "", true, `"[\"root\"];:b"`, ""},
	} {
		v, err := cpon.Parse([]byte(`<1:1,8:1,9:"a",10:"x"`+tt.tag+`>i{}`), chainpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var m rpc.Message
		if err := m.Parse(chainpack.Append(nil, v)); err != nil {
			t.Fatal(err)
		}
		m.AddUser(tt.user, "b", tt.trusted)
		if err := m.Parse(append(m.AppendMeta(nil), m.Body()...)); err != nil {
			t.Fatal(err)
		}
		got, err := m.MetaValue(rpc.TagUserID)
		if err != nil || cpon.String(got) != tt.want || rpc.UserOf(got) != tt.names {
			t.Errorf("%s of %q: %s names %q, %v", tt.tag, tt.user, cpon.String(got), rpc.UserOf(got), err)
		}
	}
}
