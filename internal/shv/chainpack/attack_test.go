package chainpack_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"shvtools/internal/shv/chainpack"
)

// allocated returns the bytes that f allocates in all.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 { // the runtime's own goroutines allocate now and then
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// A few bytes must not be able to demand much memory.
func TestHostileInputStaysCheap(t *testing.T) {
	declares := func(schema byte) []byte { // 2^40 bytes
		return append([]byte{schema}, chainpack.AppendUIntData(nil, 1<<40)...)
	}
	const mib = 1 << 20
	tests := []struct {
		name string
		in   []byte
		most uint64 // bytes allocated
		bad  bool
	}{
		{"String of 2^40 bytes", declares(0x86), 1024, true},
		{"Blob of 2^40 bytes", declares(0x85), 1024, true},
		{"key of 2^40 bytes", append([]byte{0x89}, declares(0x86)...), 1024, true},
		{"16 MiB of opening Lists", bytes.Repeat([]byte{0x88}, 16*mib), 4096, true},
		{"16 MiB of opening MetaMaps", bytes.Repeat([]byte{0x8b}, 16*mib), 4096, true},
		{"16 MiB of metas within metas", bytes.Repeat([]byte{0x8b, 0x41}, 8*mib), 4096, true},
		{"16 MiB of empty MetaMaps", bytes.Repeat([]byte{0x8b, 0xff}, 8*mib), 4096, true},
		{"merged MetaMaps", append(bytes.Repeat([]byte{0x8b, 0x41, 0x42, 0xff}, 1<<18), 0x41), 256 * mib, false},
		{"16 MiB of Nulls", append([]byte{0x88}, bytes.Repeat([]byte{0x80}, 16*mib)...), 256 * mib, true},
		{"a million empty Lists", append([]byte{0x88}, bytes.Repeat([]byte{0x88, 0xff}, 8*mib)...), 256 * mib, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			got := allocated(func() { _, _, err = chainpack.Decode(tt.in, noLimits) })
			if (err != nil) != tt.bad {
				t.Errorf("Decode: %v", err)
			}
			if got > tt.most {
				t.Errorf("Decode allocates %d bytes, want at most %d", got, tt.most)
			}
			got = allocated(func() { _, err = skip(tt.in, noLimits) })
			if (err != nil) != tt.bad || got > 4096 {
				t.Errorf("Skip: %v, %d bytes allocated", err, got)
			}
		})
	}
}

func TestDecodeDoesNotAliasInput(t *testing.T) {
	in := unhex(t, "8b 86 01 61 86 01 62 ff 89 86 01 63 85 01 64 ff")
	v, _, err := chainpack.Decode(in, noLimits)
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte(nil), in...)
	clear(in)
	if got := chainpack.Append(nil, v); !bytes.Equal(got, want) {
		t.Errorf("changed with the input: % x", got)
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	msg := unhex(t, "8b 41 41 48 43 49 86 04 74 65 73 74 4b 88 44 42 ff 4d 88 41 45 ff ff 8a 42 88 41 86 02 6c 73 ff ff")
	dst := make([]byte, 0, 1024)
	v, _, err := chainpack.Decode(msg, noLimits)
	if err != nil {
		t.Fatal(err)
	}
	long := binary.BigEndian.AppendUint64([]byte{0xf4}, 1<<63)
	tests := []struct {
		name string
		f    func()
	}{
		{"Skip", func() { _, _ = skip(msg, noLimits) }},
		{"Scanner", func() { _ = scanMeta(msg) }},
		{"AppendUIntData", func() { dst = chainpack.AppendUIntData(dst[:0], 1<<40) }},
		{"UIntData", func() { _, _, _ = chainpack.UIntData(long) }},
		{"UIntData too short", func() { _, _, _ = chainpack.UIntData(long[:3]) }},
		{"Append", func() { dst = chainpack.Append(dst[:0], v) }},
		{"Get", func() { _, _ = chainpack.Lookup(v.Meta(), chainpack.IntKey(8)) }},
		{"Decode of a scalar", func() { _, _, _ = chainpack.Decode(msg[1:], noLimits) }},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.f); n != 0 {
			t.Errorf("%s allocates %v times", tt.name, n)
		}
	}
}

// DecodeMeta allocates one slice for the entries and one object per String or box, a fixed price.
func TestDecodeMetaAllocations(t *testing.T) {
	msg := unhex(t, "8b 41 41 48 43 49 86 04 74 65 73 74 4a 86 02 6c 73 4b 42 ff 8a ff")
	n := testing.AllocsPerRun(100, func() { _, _, _ = chainpack.DecodeMeta(msg, noLimits) })
	if n > 3 { // entries, path, method
		t.Errorf("DecodeMeta allocates %v times, want 3", n)
	}
}
