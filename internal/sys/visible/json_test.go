package visible_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"shvtools/internal/sys/visible"
)

func TestJSONStaysTheSameValueAndHidesNothing(t *testing.T) {
	for c := rune(0); c <= unicode.MaxRune; c++ {
		if c > 0x3000 && c < 0xe000-1 || c > 0x10000 && c < 0xe0000-1 || c > 0xe0200 && c < 0x10fff0 {
			continue // letters
		}
		text, err := json.Marshal(string(c))
		if err != nil {
			t.Fatal(err)
		}
		shown := string(visible.AppendJSON(nil, text))
		var back string
		if err := json.Unmarshal([]byte(shown), &back); err != nil || back != string(c) {
			t.Errorf("%U: %s is %q, %v", c, shown, back, err)
		}
		if strings.ContainsFunc(shown, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }) {
			t.Errorf("%U is still there", c)
		}
	}
}
