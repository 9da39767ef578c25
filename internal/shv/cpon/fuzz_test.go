package cpon_test

import (
	"bytes"
	"math"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/test/wirecaptures"
)

// FuzzParse checks that the text of a parsed value parses to the same value and is printed the same
// again.
func FuzzParse(f *testing.F) {
	for _, row := range textRows(f) {
		f.Add([]byte(row[1]))
	}
	for _, row := range vectorRows(f) {
		f.Add([]byte(row[2]))
	}
	for _, s := range []string{
		"/*a*/<1/**/:2>//b\n{\"a\" 1}", "[0.05,5e-4,0e5,1e8,-0.,1e2147483647,0.00e-2147483640]", "[-0x1.8p-1074,2p-1080,0b1]",
		`d"-0001-12-31T23:59:59.999-1545"`, "\"\xff\\\x1b\\0\"", `<1:<"a":<>1>2><"b":1>null`, `b"\00\t\ff"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lim := chainpack.Limits{Depth: 20, Items: 1000}
		v, err := cpon.Parse(text, lim)
		if err != nil {
			return
		}
		out := cpon.Append(nil, v)
		w, err := cpon.Parse(out, lim)
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, out, err)
		}
		// Positive exponents of Decimals may be written out.
		if !w.Equal(v) && !writtenOut(w).Equal(writtenOut(v)) {
			t.Fatalf("%q prints as %q, which is another value", text, out)
		}
		if again := cpon.Append(nil, w); !bytes.Equal(again, out) {
			t.Fatalf("%q prints as %q, then as %q", text, out, again)
		}
		b := chainpack.Append(nil, v)
		if d, n, err := chainpack.Decode(b, lim); err != nil || n != len(b) || !d.Equal(v) {
			t.Fatalf("%q does not survive ChainPack: %v", text, err)
		}
	})
}

// writtenOut returns v with all Decimals of positive exponent written out, as far as int64 allows.
func writtenOut(v chainpack.Value) chainpack.Value {
	out := v.WithMeta()
	switch v.Kind() {
	case chainpack.KindDecimal:
		m, e, _ := v.AsDecimal()
		for ; e > 0 && m != 0 && max(m, -m) <= math.MaxInt64/10 && m != math.MinInt64; e-- {
			m *= 10
		}
		out = chainpack.Decimal(m, e)
	case chainpack.KindList:
		var items []chainpack.Value
		for _, item := range v.Items() {
			items = append(items, writtenOut(item))
		}
		out = chainpack.List(items...)
	case chainpack.KindMap:
		out = chainpack.Map(writtenOutAll(v.Entries())...)
	case chainpack.KindIMap:
		out = chainpack.IMap(writtenOutAll(v.Entries())...)
	}
	return out.WithMeta(writtenOutAll(v.Meta())...)
}

func writtenOutAll(entries []chainpack.Entry) (out []chainpack.Entry) {
	for _, e := range entries {
		out = append(out, chainpack.Entry{Key: e.Key, Value: writtenOut(e.Value)})
	}
	return out
}

// All messages of the real programs survive as text.
func TestCapturedMessagesSurviveAsText(t *testing.T) {
	count := 0
	for _, scenario := range wirecaptures.Scenarios(t) {
		for _, c := range wirecaptures.Load(t, scenario) {
			for _, stream := range [][]byte{c.ToBroker, c.ToClient} {
				frames, _ := wirecaptures.Frames(stream)
				for i, frame := range frames {
					if len(frame) == 0 || frame[0] != 1 {
						continue
					}
					v, _, err := chainpack.Decode(frame[1:], noLimits)
					if err != nil {
						t.Fatalf("%s/%s frame %d: %v", scenario, c.Name, i, err)
					}
					got, err := cpon.Parse(cpon.Append(nil, v), noLimits)
					if err != nil || !got.Equal(v) {
						t.Errorf("%s/%s frame %d: %s: %v", scenario, c.Name, i, cpon.String(v), err)
					}
					count++
				}
			}
		}
	}
	if count < 676 {
		t.Errorf("only %d messages", count)
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(`<1:1,8:5,9:"foo/bar",10:"baz">i{1:{"a":[1,2,3],"b":"text"}}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = cpon.Parse(text, noLimits)
	}
}

func BenchmarkAppend(b *testing.B) {
	v, err := cpon.Parse([]byte(`<1:1,8:5,9:"foo/bar",10:"baz">i{1:{"a":[1,2,3],"b":"text"}}`), noLimits)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = cpon.Append(dst[:0], v)
	}
}
