package cpon_test

import (
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

func TestEntriesOfAMapHaveTheirPlaces(t *testing.T) {
	const text = "// first\n{\n  \"a\": {\"x\": 1},\n\t/* no comma */ \"b\" [1 2]\n3: 4}\n"
	entries, err := cpon.ParseEntries([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		place := string(rune('0'+e.Line)) + ":" + string(rune('0'+e.Col%10))
		got = append(got, string(cpon.AppendKey(nil, e.Key))+"="+cpon.String(e.Value)+"@"+place)
	}
	if text := strings.Join(got, " "); text != `"a"={"x":1}@3:3 "b"=[1,2]@4:7 3=4@5:1` {
		t.Error(text)
	}
	for text, want := range map[string]string{
		"":           "line 1, column 1",
		"[1]":        "line 1, column 1",
		"{\"a\": 1":  "line 1, column 1",
		"{\n\"a\" }": "line 2, column 5",
		"{}\n{}":     "line 2, column 1",
		"{\n true}":  "line 2, column 2",
	} {
		if _, err := cpon.ParseEntries([]byte(text), chainpack.Limits{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := cpon.ParseEntries([]byte(`{"a":[[[]]]}`), chainpack.Limits{Depth: 3}); err == nil {
		t.Error("too deep")
	}
}
