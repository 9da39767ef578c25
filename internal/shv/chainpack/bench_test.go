package chainpack_test

import (
	"bytes"
	"testing"

	"shvtools/internal/shv/chainpack"
)

// benchInputs are a tunnel's data message, a long one, and a List of numbers.
func benchInputs(b *testing.B) map[string][]byte {
	head := unhex(b, "8b 41 41 48 43 4b 88 42 43 ff ff 8a 42 88 41")
	message := func(n int) []byte {
		out := chainpack.AppendString(bytes.Clone(head), string(make([]byte, n)))
		return append(out, chainpack.ByteTerm, chainpack.ByteTerm)
	}
	ints := []byte{chainpack.ByteList}
	for i := range int64(1000) {
		ints = chainpack.AppendInt(ints, i*i)
	}
	return map[string][]byte{
		"keystroke": message(1),
		"32KiB":     message(32 << 10),
		"1000Ints":  append(ints, chainpack.ByteTerm),
	}
}

func benchmark(b *testing.B, f func(in []byte, v chainpack.Value)) {
	for name, in := range benchInputs(b) {
		v, _, err := chainpack.Decode(in, noLimits)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				f(in, v)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	benchmark(b, func(in []byte, _ chainpack.Value) { _, _, _ = chainpack.Decode(in, noLimits) })
}

func BenchmarkDecodeMeta(b *testing.B) {
	benchmark(b, func(in []byte, _ chainpack.Value) { _, _, _ = chainpack.DecodeMeta(in, noLimits) })
}

func BenchmarkSkip(b *testing.B) {
	benchmark(b, func(in []byte, _ chainpack.Value) { _, _ = skip(in, noLimits) })
}

func BenchmarkAppend(b *testing.B) {
	var dst []byte
	benchmark(b, func(_ []byte, v chainpack.Value) { dst = chainpack.Append(dst[:0], v) })
}
