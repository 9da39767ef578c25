package rpc_test

import (
	"bytes"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// FuzzParse checks that a message that is read and written unchanged means the same to this program
// and to others, and that unknown tags survive a rewrite.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`<1:1,8:3,11:[4,2],13:[1,5],12:1u,99:"x","k":{"a":1}>i{}`,
		`<8:1,8:"1",9:"a",9:null,10:"m",14:"su",17:63,17:1>i{1:1}`,
		`<1:1,8:3,11:2,13:null,15:<1:3>i{1:2,2:"h",3:1,4:"s",5:3,6:[2],8:["tcp"]}>i{}`,
		`<11:[]>i{3:i{1:8,2:"no"}}`,
		`<15:{"a":1},16:{"shvUser":"iot"},8:2147483648>null`,
	} {
		f.Add(encode(f, text))
	}
	f.Add(unhex(f, "8b 48 41 49 8e 61 2f 5c 5c 62 00 8e 6b 00 41 ff 8b 48 42 ff 8b ff 8a ff"))
	for i, frame := range capturedFrames(f) {
		if i%50 == 0 {
			f.Add(frame[1:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again rpc.Message
		if m.Parse(b) != nil {
			return
		}
		head := m.AppendMeta(nil)
		out := append(head, m.Body()...)
		if err := again.Parse(out); err != nil {
			t.Fatalf("% x became % x: %v", b, out, err)
		}
		if !sameMessage(&m, &again) || !bytes.Equal(again.AppendMeta(nil), head) {
			t.Fatalf("% x became % x", b, out)
		}
		// Whoever decodes the bytes as they came, the last one of a tag counting,
		// and whoever gets what we write, see the same.
		before, beforeErr := metaOf(b)
		after, afterErr := metaOf(out)
		if beforeErr != nil || afterErr != nil {
			return // of more items than one call may read
		}
		for key, v := range before {
			if w, ok := after[key]; !ok || !v.Equal(w) {
				t.Fatalf("tag %v of % x became % x", key, b, out)
			}
		}
		rewrite(&m)
		rewritten, err := metaOf(append(m.AppendMeta(nil), m.Body()...))
		if err != nil {
			t.Fatal(err)
		}
		for key, v := range before {
			if w, ok := rewritten[key]; !changes(key) && (!ok || !v.Equal(w)) {
				t.Fatalf("tag %v of % x did not survive", key, b)
			}
		}
	})
}

func rewrite(m *rpc.Message) {
	m.PushCaller(7)
	m.PushRevCaller(8)
	m.SetPath([]byte("p"))
	m.SetAccess(rpc.AccessRead)
	m.SetTunnel(*m.Tunnel())
	m.SetUserID(chainpack.Null())
}

// changes reports whether rewrite changes the tag.
func changes(key chainpack.Key) bool {
	if !key.IsInt() {
		return false
	}
	switch key.Int() {
	case rpc.TagPath, rpc.TagCallerIDs, rpc.TagRevCallerIDs, rpc.TagAccess,
		rpc.TagTunnelCtl, rpc.TagUserID, rpc.TagAccessLevel:
		return true
	}
	return false
}

func sameMessage(m, w *rpc.Message) bool {
	return m.Kind() == w.Kind() && m.ID() == w.ID() && bytes.Equal(m.Path(), w.Path()) &&
		bytes.Equal(m.Method(), w.Method()) && bytes.Equal(m.Body(), w.Body()) && m.Access() == w.Access() &&
		string(m.Callers().AppendKey(nil)) == string(w.Callers().AppendKey(nil)) &&
		string(m.RevCallers().AppendKey(nil)) == string(w.RevCallers().AppendKey(nil)) &&
		m.Tunnel().Value().Equal(w.Tunnel().Value())
}

func metaOf(b []byte) (map[chainpack.Key]chainpack.Value, error) {
	entries, _, err := chainpack.DecodeMeta(b, chainpack.Limits{})
	meta := make(map[chainpack.Key]chainpack.Value, len(entries))
	for _, e := range entries {
		meta[e.Key] = e.Value
	}
	return meta, err
}
