package rpc_test

import (
	"bytes"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

func TestHasPlainBody(t *testing.T) {
	var m rpc.Message
	body := func(param chainpack.Value) []byte {
		if err := m.Parse(rpc.AppendRequest(nil, 1, "a", "m", param)); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(m.Body())
	}
	null, list := body(chainpack.Null()), body(chainpack.List(chainpack.Int(1), chainpack.String("x")))
	abort := chainpack.Append(nil, chainpack.IMap(chainpack.N(rpc.KeyAbort, chainpack.Bool(true))))
	two := chainpack.Append(nil, chainpack.IMap(
		chainpack.N(rpc.KeyParam, chainpack.Int(1)), chainpack.N(rpc.KeyAbort, chainpack.Bool(true))))
	for name, tt := range map[string]struct {
		body []byte
		want bool
	}{
		"nothing": {body(chainpack.Value{}), true}, "null": {null, true}, "list": {list, true},
		"abort": {abort, false}, "param and abort": {two, false}, "cut": {list[:len(list)-1], false},
		"no map": {chainpack.Append(nil, chainpack.Int(1)), false}, "empty": {nil, false},
	} {
		if rpc.HasPlainBody(tt.body) != tt.want {
			t.Errorf("%s is plain: %v", name, !tt.want)
		}
	}
}

func TestHasMoreTags(t *testing.T) {
	meta := func(n int64) []byte {
		m := []byte{chainpack.ByteMetaMap}
		for tag := range n {
			m = chainpack.Append(chainpack.Append(m, chainpack.Int(tag+100)), chainpack.Null())
		}
		return append(m, chainpack.ByteTerm)
	}
	for n, want := range map[int64]bool{0: false, 1: false, 95: false, 96: false, 97: true, 200: true} {
		if rpc.HasMoreTags(meta(n), 96) != want {
			t.Errorf("%d entries are more than 96: %v", n, !want)
		}
	}
	full := meta(96)
	if !rpc.HasMoreTags(full[:len(full)-1], 96) || !rpc.HasMoreTags(bytes.Repeat([]byte{chainpack.ByteNull}, 300), 96) {
		t.Error("what cannot be read passes")
	}
}
