package chainpack_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
)

var noLimits chainpack.Limits

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

// rows reads a tab-separated file without its comment lines.
func rows(t testing.TB, file string, columns int) [][]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(line, "\t")
		if len(row) != columns {
			t.Fatalf("%s: %d columns in %q", file, len(row), line)
		}
		out = append(out, row)
	}
	return out
}

// vectorBytes returns the bytes of all vectors.
func vectorBytes(t testing.TB) [][]byte {
	var out [][]byte
	for _, row := range rows(t, "testdata/vectors.txt", 4) {
		out = append(out, unhex(t, row[1]))
	}
	return out
}

func TestVectorsDecodeAndReencode(t *testing.T) {
	table := rows(t, "testdata/vectors.txt", 4)
	if len(table) != 109 {
		t.Fatalf("%d vectors, want 109", len(table))
	}
	for _, row := range table {
		t.Run(row[0], func(t *testing.T) {
			b := unhex(t, row[1])
			v, n, err := chainpack.Decode(b, noLimits)
			if err != nil || n != len(b) {
				t.Fatalf("Decode: used %d of %d, %v", n, len(b), err)
			}
			if n, err := skip(b, noLimits); err != nil || n != len(b) {
				t.Errorf("Skip = %d, %v, want %d", n, err, len(b))
			}
			if !strings.ContainsAny(row[3], "cp") {
				return
			}
			if got := chainpack.Append(nil, v); !bytes.Equal(got, b) {
				t.Errorf("Append = % x, want % x", got, b)
			}
		})
	}
}

func TestFramesSplitIntoMetaAndBody(t *testing.T) {
	table := rows(t, "testdata/frames.txt", 2)
	if len(table) != 16 {
		t.Fatalf("%d frames, want 16", len(table))
	}
	for _, row := range table {
		t.Run(row[0], func(t *testing.T) {
			b := unhex(t, row[1])
			size, n, err := chainpack.UIntData(b)
			if err != nil || int(size) != len(b)-n {
				t.Fatalf("length %d, %v, want %d", size, err, len(b)-n)
			}
			msg := b[n+1:]
			meta, n, err := chainpack.DecodeMeta(msg, noLimits)
			if err != nil {
				t.Fatalf("DecodeMeta: %v", err)
			}
			body, m, err := chainpack.Decode(msg[n:], noLimits)
			if err != nil || n+m != len(msg) || body.Kind() != chainpack.KindIMap {
				t.Fatalf("body: %v, %d+%d of %d, %v", body.Kind(), n, m, len(msg), err)
			}
			whole, _, err := chainpack.Decode(msg, noLimits)
			if err != nil || !whole.Equal(body.WithMeta(meta...)) {
				t.Errorf("meta and body are not the whole (%v)", err)
			}
			if got := chainpack.Append(nil, whole); !bytes.Equal(got, msg) {
				t.Errorf("Append = % x, want % x", got, msg)
			}
		})
	}
}

// Forms that nobody sends, but every decoder accepts (spec.md 1.3, 1.6, 1.7, 1.9).
func TestUnusualFormsAccepted(t *testing.T) {
	type v = chainpack.Value
	one := chainpack.Int(1)
	two := chainpack.Int(2)
	tests := []struct {
		name, in string
		want     v
	}{
		{"long Int", "82 05", chainpack.Int(5)},
		{"longer Int", "82 80 05", chainpack.Int(5)},
		{"longest Int", "82 fd" + strings.Repeat("00", 16) + "05", chainpack.Int(5)},
		{"longest negative Int", "82 fd 80" + strings.Repeat("00", 15) + "05", chainpack.Int(-5)},
		{"negative zero", "82 40", chainpack.Int(0)},
		{"long negative zero", "82 f4 80 00 00 00 00 00 00 00", chainpack.Int(0)},
		{"lowest Int", "82 f5 80 80 00 00 00 00 00 00 00", chainpack.Int(-1 << 63)},
		{"long UInt", "81 fd" + strings.Repeat("00", 9) + strings.Repeat("ff", 7) + "00", chainpack.UInt(1<<64 - 256)},
		{"empty MetaMap", "8b ff 41", one},
		{"two MetaMaps", "8b 41 42 ff 8b 42 41 ff 43", chainpack.Int(3).WithMeta(chainpack.N(1, two), chainpack.N(2, one))},
		{"MetaMap with both kinds of keys", "8b 01 42 86 01 61 41 ff 43",
			chainpack.Int(3).WithMeta(chainpack.N(1, two), chainpack.F("a", one))},
		{"UInt key", "8a 01 42 ff", chainpack.IMap(chainpack.N(1, two))},
		{"long UInt key", "8a 81 01 42 ff", chainpack.IMap(chainpack.N(1, two))},
		{"Int key in a Map", "89 41 42 ff", chainpack.IMap(chainpack.N(1, two))},
		{"String key in an IMap", "8a 86 01 61 42 ff", chainpack.Map(chainpack.F("a", two))},
		{"CString key", "89 8e 61 00 42 ff", chainpack.Map(chainpack.F("a", two))},
		{"CString with escapes", `8e 5c 5c 61 5c 30 62 5c 63 5c 00`, chainpack.String("\\a\x00b\\c\\")},
		{"not UTF-8", "86 03 ff 61 61", chainpack.String("\xffaa")},
		{"DateTime with an offset of 0", "8d 03", chainpack.DateTime(1517529600000, 0)},
		{"DateTime with offset -16 h", "8d 81 03", chainpack.DateTime(1517529600000, -64)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.in)
			got, n, err := chainpack.Decode(b, noLimits)
			if err != nil || n != len(b) {
				t.Fatalf("Decode: used %d of %d, %v", n, len(b), err)
			}
			if !got.Equal(tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if n, err := skip(b, noLimits); err != nil || n != len(b) {
				t.Errorf("Skip = %d, %v, want %d", n, err, len(b))
			}
		})
	}
}

func TestDuplicateKeysLastWins(t *testing.T) {
	v, _, err := chainpack.Decode(unhex(t, "8b 41 01 ff 8b 41 02 ff 8a 41 41 41 42 ff"), noLimits)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := v.GetInt(1)
	if i, _ := got.AsInt(); i != 2 {
		t.Errorf("GetInt = %d, want 2", i)
	}
	got, _ = chainpack.Lookup(v.Meta(), chainpack.IntKey(1))
	if i, _ := got.AsInt(); i != 2 {
		t.Errorf("meta = %d, want 2", i)
	}
}
