package chainpack_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
)

func TestBadInputRejectedWithItsPlace(t *testing.T) {
	tests := []struct {
		name, in string
		offset   int
		short    bool // more bytes could have made it good
	}{
		{"nothing", "", 0, true},
		{"TERM alone", "ff", 0, false},
		{"List without TERM", "88 41", 2, true},
		{"String cut", "86 05 61", 1, true},
		{"String without a length", "86", 1, true},
		{"String length cut", "86 80", 1, true},
		{"Blob cut", "85 05 61", 1, true},
		{"Double cut", "83 00", 1, true},
		{"CString without its end", "8e 61 62", 1, true},
		{"Int cut", "82 f4 00", 1, true},
		{"Decimal without exponent", "8c 05", 2, true},
		{"DateTime cut", "8d e6 3d", 1, true},
		{"old Bool", "84 01", 0, false},
		{"old DateTime", "87", 0, false},
		{"BlobChain", "8f 01 61 00", 0, false},
		{"unassigned 90", "90", 0, false},
		{"unassigned fc", "fc", 0, false},
		{"key without value", "89 86 01 61 ff", 4, false},
		{"meta without value", "8b 41 42 ff", 4, true},
		{"meta key without value", "8b 41 ff", 2, false},
		{"meta before TERM", "88 8b 41 42 ff ff", 5, false},
		{"Int data with head fe", "82 fe" + strings.Repeat("00", 18), 1, false},
		{"Int data with head ff", "82 ff" + strings.Repeat("00", 19), 1, false},
		{"UInt data with head ff", "81 ff" + strings.Repeat("00", 19), 1, false},
		{"UInt beyond 64 bits", "81 f5 01 00 00 00 00 00 00 00 00", 1, false},
		{"Int beyond 64 bits", "82 f5 00 80 00 00 00 00 00 00 00", 1, false},
		{"Int below −2^63", "82 f5 80 80 00 00 00 00 00 00 01", 1, false},
		{"C library's lowest Int", "82 f5 00 80 00 00 00 00 00 00 80", 1, false},
		{"Decimal exponent beyond 32 bits", "8c 01 f1 00 80 00 00 00", 2, false},
		{"DateTime beyond its range", "8d f4 7f ff ff ff ff ff ff ff", 1, false},
		{"Bool key", "89 fe 41 ff", 1, false},
		{"Null key", "8b 80 41 ff 41", 1, false},
		{"List key", "8a 88 ff 41 ff", 1, false},
		{"key with meta", "8a 8b ff 41 41 ff", 1, false},
		{"UInt key beyond 63 bits", "8a 81 f4 80 00 00 00 00 00 00 00 41 ff", 1, false},
		{"both kinds of keys in a Map", "89 86 01 61 41 42 43 ff", 5, false},
		{"both kinds of keys in an IMap", "8a 41 42 86 01 61 43 ff", 3, false},
		{"length of 2^64−1", "86 f4 ff ff ff ff ff ff ff ff 61", 1, true},
		{"deep inside", "88 89 86 01 61 8a 41 90 ff ff ff", 7, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.in)
			v, n, err := chainpack.Decode(b, noLimits)
			var se *chainpack.SyntaxError
			if !errors.As(err, &se) {
				t.Fatalf("Decode = %+v, %v, want a SyntaxError", v, err)
			}
			if n != 0 || !v.Equal(chainpack.Null()) {
				t.Errorf("Decode returns %d and %v beside the error", n, v.Kind())
			}
			if se.Offset != tt.offset {
				t.Errorf("offset %d, want %d (%v)", se.Offset, tt.offset, err)
			}
			if got := errors.Is(err, io.ErrUnexpectedEOF); got != tt.short {
				t.Errorf("too short = %v, want %v (%v)", got, tt.short, err)
			}
			if _, skipErr := skip(b, noLimits); skipErr == nil || skipErr.Error() != err.Error() {
				t.Errorf("Skip: %v, Decode: %v", skipErr, err)
			}
		})
	}
}

// A broker decodes only the meta, so it can pass on bodies that it cannot read.
func TestDecodeMetaLeavesBodyAlone(t *testing.T) {
	tests := []struct {
		name, in string
		entries  int
		n        int
	}{
		{"none", "8a ff", 0, 0},
		{"nothing at all", "", 0, 0},
		{"malformed body", "8b 41 42 ff 90", 1, 4},
		{"no body", "8b 41 42 ff", 1, 4},
		{"merged", "8b 41 42 ff 8b 42 43 43 44 ff 41", 3, 10},
		{"empty", "8b ff 8a ff", 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			meta, n, err := chainpack.DecodeMeta(unhex(t, tt.in), noLimits)
			if err != nil || len(meta) != tt.entries || n != tt.n {
				t.Errorf("DecodeMeta = %d entries, %d, %v, want %d, %d", len(meta), n, err, tt.entries, tt.n)
			}
		})
	}
	if meta, n, err := chainpack.DecodeMeta(unhex(t, "8b 41 90 ff"), noLimits); err == nil || meta != nil || n != 0 {
		t.Errorf("malformed meta: %v, %d, %v", meta, n, err)
	}
}

func TestLimitsHoldAtTheirEdge(t *testing.T) {
	lists := func(n int) []byte {
		return append(bytes.Repeat([]byte{0x88}, n), bytes.Repeat([]byte{0xff}, n)...)
	}
	metas := func(n int) []byte { // <1:<1:<1:…0>0>0>0
		b := bytes.Repeat([]byte{0x8b, 0x41}, n)
		b = append(b, 0x40)
		return append(b, bytes.Repeat([]byte{0xff, 0x40}, n)...)
	}
	items := func(n int) []byte { // with the List itself n+1 values
		return append(append([]byte{0x88}, bytes.Repeat([]byte{0x40}, n)...), 0xff)
	}
	tests := []struct {
		name   string
		in     []byte
		lim    chainpack.Limits
		what   string
		offset int
	}{
		{"default depth", lists(100), noLimits, "", 0},
		{"default depth exceeded", lists(101), noLimits, "depth", 100},
		{"depth of 3", lists(3), chainpack.Limits{Depth: 3}, "", 0},
		{"depth of 3 exceeded", lists(4), chainpack.Limits{Depth: 3}, "depth", 3},
		{"depth of metas", metas(100), noLimits, "", 0},
		{"depth of metas exceeded", metas(101), noLimits, "depth", 200},
		{"items of 4", items(3), chainpack.Limits{Items: 4}, "", 0},
		{"items of 4 exceeded", items(4), chainpack.Limits{Items: 4}, "items", 4},
		{"values of entries count", unhex(t, "8a 41 41 42 42 ff"), chainpack.Limits{Items: 2}, "items", 4},
		{"default items", items(1<<20 - 1), noLimits, "", 0},
		{"default items exceeded", items(1 << 20), noLimits, "items", 1 << 20},
		{"depth of a greedy caller", lists(20000), chainpack.Limits{Depth: 1 << 30}, "depth", 10000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := chainpack.Decode(tt.in, tt.lim)
			_, skipErr := skip(tt.in, tt.lim)
			if tt.what == "" {
				if err != nil || skipErr != nil {
					t.Errorf("Decode: %v, Skip: %v", err, skipErr)
				}
				return
			}
			var le *chainpack.LimitError
			if !errors.As(err, &le) || le.What != tt.what || le.Offset != tt.offset {
				t.Errorf("Decode: %v, want %s at %d", err, tt.what, tt.offset)
			}
			if skipErr == nil || err == nil || skipErr.Error() != err.Error() {
				t.Errorf("Skip: %v, Decode: %v", skipErr, err)
			}
		})
	}
}
