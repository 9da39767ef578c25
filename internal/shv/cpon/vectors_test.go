package cpon_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

var noLimits chainpack.Limits

// rows reads a tab-separated file without its comment lines.
func rows(t testing.TB, file string, count, columns int) [][]string {
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
	if len(out) != count {
		t.Fatalf("%s: %d rows, want %d", file, len(out), count)
	}
	return out
}

func textRows(t testing.TB) [][]string   { return rows(t, "testdata/text.txt", 67, 4) }
func vectorRows(t testing.TB) [][]string { return rows(t, "../chainpack/testdata/vectors.txt", 109, 4) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

func TestTextBecomesTheBytesOfTheStricterReader(t *testing.T) {
	// Where pyshv is not followed (spec.md 2.4).
	exceptions := map[string]string{"T15": "error", "T40": "8d 04"}
	for _, row := range textRows(t) {
		t.Run(row[0], func(t *testing.T) {
			want := row[3]
			if want == "same" {
				want = row[2]
			}
			if e, ok := exceptions[row[0]]; ok {
				want = e
			}
			v, err := cpon.Parse([]byte(row[1]), noLimits)
			if strings.HasPrefix(want, "error") {
				var se *cpon.SyntaxError
				if !errors.As(err, &se) {
					t.Errorf("Parse(%s) = %s, %v, want a SyntaxError", row[1], cpon.String(v), err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Parse(%s): %v", row[1], err)
			}
			if got := chainpack.Append(nil, v); !bytes.Equal(got, unhex(t, want)) {
				t.Errorf("Parse(%s) encodes to % x, want %s", row[1], got, want)
			}
		})
	}
}

func TestVectorsPrintAsTheCLibraryDoes(t *testing.T) {
	// Doubles are printed exactly, as pyshv does.
	doubles := map[string]string{"V60": "0x0.p+0", "V61": "0x1.bep+7", "V62": "0x1.p+0", "V63": "0x1.p-1"}
	for _, row := range vectorRows(t) {
		t.Run(row[0], func(t *testing.T) {
			v, _, err := chainpack.Decode(unhex(t, row[1]), noLimits)
			if err != nil {
				t.Fatal(err)
			}
			want := row[2]
			if d, ok := doubles[row[0]]; ok {
				want = d
			}
			if got := cpon.String(v); got != want {
				t.Errorf("%s prints as %s, want %s", row[1], got, want)
			}
		})
	}
}

func TestVectorTextsParseToTheirBytes(t *testing.T) {
	// The text cannot say what the bytes hold: Doubles are shown as Decimals, and
	// an exponent of 2 is written out.
	impossible := map[string]bool{"V60": true, "V61": true, "V62": true, "V63": true, "V70": true}
	for _, row := range vectorRows(t) {
		t.Run(row[0], func(t *testing.T) {
			v, err := cpon.Parse([]byte(row[2]), noLimits)
			if err != nil {
				t.Fatal(err)
			}
			if impossible[row[0]] || !strings.ContainsAny(row[3], "cp") {
				return
			}
			if got, want := chainpack.Append(nil, v), unhex(t, row[1]); !bytes.Equal(got, want) {
				t.Errorf("%s encodes to % x, want % x", row[2], got, want)
			}
		})
	}
}
