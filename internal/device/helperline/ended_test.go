package helperline_test

import (
	"reflect"
	"strings"
	"testing"

	"shvtools/internal/device/helperline"
)

func TestEndOfASessionReachesTheAgent(t *testing.T) {
	code := 3
	for _, e := range []helperline.Ended{
		{}, {Exit: &code, In: 5, Out: 1 << 40}, {Signal: "TERM", Cause: "the user\nhas gone"},
	} {
		text := e.Append(nil)
		if got, ok := helperline.ParseEnded(text); !ok || !reflect.DeepEqual(got, e) || strings.Count(string(text),
			"\n") != 1 {
			t.Errorf("%+v became %+v", e, got)
		}
		if _, ok := helperline.ParseStarted(text); ok {
			t.Error("it is taken for the line about the process group")
		}
	}
	long := helperline.Ended{Cause: strings.Repeat("x", 1<<20)}
	if text := long.Append(nil); len(text) > 2000 {
		t.Errorf("a line of %d bytes", len(text))
	}
	for _, text := range []string{"", "{}", `{"ended":1}`, `{"ended":[]}`, `{"processGroup":5}`, `{"ended":{}`} {
		if e, ok := helperline.ParseEnded([]byte(text)); ok {
			t.Errorf("%q: %+v", text, e)
		}
	}
	if e, ok := helperline.ParseEnded([]byte(`{"ended":{"exit":4294967299,"in":"x"}}`)); !ok || e.Exit != nil ||
		e.In != 0 {
		t.Errorf("%+v, %v", e, ok)
	}
}

func FuzzParseEnded(f *testing.F) {
	f.Add([]byte(`{"ended":{"exit":0,"in":1,"out":2,"signal":"","cause":"x"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := helperline.ParseEnded(text)
		if again, _ := helperline.ParseEnded(e.Append(nil)); ok && again.In != e.In {
			t.Errorf("%+v became %+v", e, again)
		}
	})
}
