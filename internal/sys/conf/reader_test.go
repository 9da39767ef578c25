package conf_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/sys/conf"
)

// sample is a configuration with one of each.
type sample struct {
	name    string
	wait    time.Duration
	room    int
	open    bool
	users   map[string]string
	numbers []int64
	sources conf.Sources
}

func newSample() *sample {
	return &sample{wait: time.Minute, room: 64 << 10, users: make(map[string]string), sources: make(conf.Sources)}
}

var table = conf.NewTable(newSample(),
	conf.Setting[sample]{Key: "old", Read: func(*conf.Reader, *conf.Node, *sample) {}}, // has no effect
	conf.Value("name", "what it is called", conf.Text,
		func(s *sample) *string { return &s.name }).OnFlag("name").OnEnv("SAMPLE_NAME"),
	conf.Value("limits.wait", "how long it waits", conf.Between(conf.Duration, time.Second, time.Hour),
		func(s *sample) *time.Duration { return &s.wait }).OnFlag("wait"),
	conf.Int("limits.room", "what it holds", conf.Between(conf.Size, 1, 1<<40), func(s *sample) *int { return &s.room }),
	conf.Value("open", "everybody may come", conf.Bool, func(s *sample) *bool { return &s.open }),
	conf.Setting[sample]{
		Key: "users", About: "who may come",
		Read: func(r *conf.Reader, n *conf.Node, s *sample) {
			r.Each(n, "{eva: x}", func(user *conf.Node) {
				if text, ok := conf.Text.Read(r, user); ok {
					s.users[user.Name()] = text
				}
			})
		},
	},
	conf.Setting[sample]{
		Key: "numbers", About: "which ones",
		Read: func(r *conf.Reader, n *conf.Node, s *sample) {
			s.numbers = conf.Count.ReadList(r, n, "[1, 2]")
		},
	},
)

// read reads a sample, with lines for its faults.
func read(r *conf.Reader, text string) (*sample, string) {
	s := newSample()
	table.Read(r, r.YAML("f", []byte(text)), s, s.sources)
	if err := r.Err(); err != nil {
		return s, err.Error()
	}
	return s, ""
}

func TestAllFaultsHaveTheirPlaceAndKey(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown keys", "nam: x\nlimits: {rom: 1}\n",
			"f:1:1: nam: unknown key (want name, limits, open, users or numbers)\n" +
				"f:2:10: limits.rom: unknown key (want wait or room)"},
		{"all at once, in order", "open: yes\nlimits: {room: 64q, wait: 5x}\nname: [a]\n",
			`f:1:7: open: invalid value "yes" (want true or false)` + "\n" +
				`f:2:16: limits.room: invalid size "64q" (want 65536, 64k or 64KiB)` + "\n" + `f:2:27: limits.wait: invalid ` +
				`duration "5x" (want 90, 90s or 1m30s)` + "\n" +
				"f:3:7: name: not a single value (want one text)"},
		{"bounds", "limits: {room: 0, wait: 2h}",
			"f:1:16: limits.room: size 0 is out of range (want 1 to 1024GiB)\nf:1:25: limits.wait: duration 2h is out of " +
				"range (want 1s to 1h)"},
		{"items", "numbers: [1, x, [2]]",
			`f:1:14: numbers[2]: invalid number "x" (want a number such as 100)` + "\nf:1:17: numbers[3]: not a single value " +
				"(want a number such as 100)"},
		{"not a list", "numbers: 5", "f:1:10: numbers: not a list (want [1, 2])"},
		{"names", "users: {eva: {}, \"a.b\": [], tom: }",
			`f:1:14: users."eva": not a single value (want one text)` + "\n" + `f:1:25: users."a.b": not a single value (want ` +
				`one text)` + "\n" +
				`f:1:29: users."tom": no value (want one text)`},
		{"not a map", "users: [a]\nlimits: 5",
			"f:1:8: users: not a map (want {eva: x})\nf:2:9: limits: not a map (want {wait: …})"},
		{"top", "- a", "f:1:1: not a map (want {name: …})"},
		{"null", "name: ~\nopen:\n",
			"f:1:7: name: no value: ~ means none unless it is quoted (want one text)\nf:2:1: open: no value (want true or " +
				"false)"},
		{"twice", "name: a\nlimits: {room: 1, room: 2}\nname: b",
			"f:2:19: limits.room: the key is in line 2 already\nf:3:1: name: the key is in line 1 already"},
		{"anchor and unknown key", "nam: &x 1", "f:1:1: nam: unknown key (want name, limits, open, users or numbers)\n" +
			"f:1:6: nam: anchors, aliases and tags are not used here (want quotes around a text that begins with *, & or !)"},
		{"tag", "name: !x y", "f:1:7: name: anchors, aliases and tags"},
		{"bare tag", "name: ! y", "f:1:7: name: anchors, aliases and tags"},
		{"alias", "name: &x y\nusers: {a: *x}",
			"f:1:7: name: anchors, aliases and tags are not used here (want quotes around a text that begins with *, & or " +
				"!)\nf:2:12: users.\"a\": anchors"},
		{"merge", "limits: {<<: {room: 1}}", "f:1:10: limits: a key: anchors"},
		{"null key", "~: a", "f:1:1: a key: no name"},
		{"key that is a list", "users: {[a]: b}", "f:1:9: users: a key: not a single value"},
		{"key behind ?", "users:\n  ? a\n  : b", "f:2:5: users: a key: keys behind ?"},
		{"key that asks", "users:\n  a?: b\n  \"?\": 5\n", ""},
		{"lines", "name: |\n  a\n  b\n", "f:1:7: name: a control character or more than one line"},
		{"control character in a key", "\"\\e[31m\": 1", `f:1:1: a key: a control character`},
		{"raw control character", "name: x\n\x1b[31m", `f:2:1: control character '\x1b'`},
		{"not UTF-8", "name: caf\xe9", `f:1:10: not UTF-8`},
		{"documents", "name: a\n---\nname: b\n", "f:3:1: a second document (want one)"},
		{"bracket", "name: x\nnumbers: [1,\nopen: true\n", "f:2:10: not YAML: while parsing a flow sequence"},
		{"quote", "name: \"x\nopen: true\n", "f:1:7: not YAML: while scanning a quoted scalar"},
		{"indent", "users:\n    a: b\n  c: d\n", "f:3:3: not YAML: while parsing a block mapping"},
		{"star", "users:\n  *: x\n",
			"f:2:3: not YAML: while scanning an alias: did not find expected alphabetic or numeric character (want quotes " +
				"around a name that begins with *)"},
		{"unknown alias", "name: *x\n", "f:1:7: anchors, aliases and tags"},
	} {
		var r conf.Reader
		_, got := read(&r, tt.text)
		if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) ||
			strings.Count(got, "\n") != strings.Count(tt.want, "\n") {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// A few kilobytes must not take the machine: 100 000 brackets took goccy's parser 20 s.
func TestDepthIsBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("[", 100000), strings.Repeat("{a: ", 100000), strings.Repeat("- ",
		100000), strings.Repeat("? ", 100000)} {
		begun := time.Now()
		var r conf.Reader
		if _, got := read(&r, text); !strings.HasPrefix(got, "f:1:") || !strings.Contains(got, "exceeded max depth of 100") ||
			time.Since(begun) > 5*time.Second {
			t.Errorf("%.5s…: %s, in %v", text, got, time.Since(begun))
		}
	}
}

func TestValuesAndTheirSources(t *testing.T) {
	var r conf.Reader
	s, faults := read(&r, "\ufeff%YAML 1.2\n---\nname: 007\nlimits: {wait: 5, room: 1M}\nusers: {eva: null-and-void, "+
		"\"~\": yes}\nopen: true\n")
	if faults != "" || s.name != "007" || s.wait != 5*time.Second || s.room != 1<<20 || !s.open || s.users["~"] != "yes" {
		t.Fatalf("%s\n%+v", faults, s)
	}
	given := func(all map[string]string) func(string) ([]string, bool) {
		return func(name string) ([]string, bool) {
			text, ok := all[name]
			return []string{text}, ok
		}
	}
	lookup := func(all map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			text, ok := all[name]
			return text, ok
		}
	}
	table.Override(&r, given(map[string]string{"wait": "9s"}), lookup(map[string]string{"SAMPLE_NAME": "eight"}), s,
		s.sources)
	var b strings.Builder
	if err := errors.Join(r.Err(), table.Print(&b, s, s.sources, false)); err != nil {
		t.Fatal(err)
	}
	if want := "name: eight  # $SAMPLE_NAME\nlimits.wait: 9s  # --wait\nlimits.room: 1MiB  # f:4:19\nopen: true  # " +
		"f:6:1\n"; b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
	b.Reset()
	if err := table.Print(&b, newSample(), nil, true); err != nil ||
		!strings.Contains(b.String(), "limits.wait: 1m  # default; how long it waits (1s to 1h)\n") {
		t.Errorf("%v\n%s", err, &b)
	}
	table.Override(&r, given(map[string]string{"name": "flag", "wait": "1ms"}),
		lookup(map[string]string{"SAMPLE_NAME": "env"}), s, s.sources)
	if err := r.Err(); s.name != "flag" || s.wait != 9*time.Second || err == nil ||
		err.Error() != "--wait: duration 1ms is out of range (want 1s to 1h)" {
		t.Errorf("%+v, %v", s, err)
	}
	table.Override(new(conf.Reader), given(nil), lookup(map[string]string{"SAMPLE_NAME": ""}), s, s.sources)
	if s.name != "flag" || s.sources.Of("name") != "--name" {
		t.Error("an empty variable counts")
	}
	if got := table.Get("limits.wait"); got.Default != "1m" || got.Lowest != "1s" || got.Highest != "1h" {
		t.Errorf("%+v", got)
	}
}

func TestNullAndTagsAsInTheRustBrokersFiles(t *testing.T) {
	r := conf.Reader{NullIsNone: true, Tags: true}
	s, faults := read(&r, "name: null\nlimits:\nusers: {a: !Plain x, b: !Other}\n")
	if faults != "f:2:1: limits: no value (want one, or no such key)\n"+
		"f:3:12: users.\"a\": not a single value (want one text)\n"+
		"f:3:25: users.\"b\": not a single value (want one text)" || s.name != "" {
		t.Errorf("%s, %+v", faults, s)
	}
	var in conf.Reader
	in.Tags = true
	n := in.YAML("f", []byte("a: !Plain x\nb: !Empty\nc: !!str x\nd: !m {k: v}"))
	if plain := n.Child("a"); plain.Kind() != conf.Map || plain.Child("Plain").Text() != "x" ||
		n.Child("b").Child("Empty") != nil || n.Child("d").Child("m").Child("k").Text() != "v" {
		t.Error("tags are read wrongly")
	}
	if err := in.Err(); err == nil || !strings.HasPrefix(err.Error(), "f:3:4: c: anchors") {
		t.Errorf("a tag of YAML itself: %v", err)
	}
}

func TestOtherSourcesOfNodes(t *testing.T) {
	var r conf.Reader
	v, err := cpon.Parse([]byte(`{"name":5,"limits":{"wait":true},"users":{"eva":b"x","tom":"y"},"open":i{1:2}}`),
		chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s := newSample()
	table.Read(&r, r.Entry("params", "x", v), s, s.sources)
	want := `params."x".limits.wait: invalid duration "true" (want 90, 90s or 1m30s)` + "\n"
	if err := r.Err(); s.name != "5" || s.users["tom"] != "y" || err == nil || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(),
			`params."x".users."eva": a value of an unexpected type (want a String, Bool, Int or DateTime)`) ||
		!strings.Contains(err.Error(), `params."x".open: a key: the number 1 (want a name)`) {
		t.Errorf("%+v\n%v", s, err)
	}
	r = conf.Reader{}
	table.Read(&r, r.CPON("f.cpon", []byte("{\n  \"name\": \"x\"\n  \"limits\": {\"rom\": 1},\n 7: 8}")), s, s.sources)
	if err := r.Err(); err == nil ||
		err.Error() != "f.cpon:3:3: limits.rom: unknown key (want wait or room)\nf.cpon:4:2: a key: the number 7 (want a "+
			"name)" {
		t.Errorf("%v", err)
	}
	r = conf.Reader{}
	table.Read(&r, r.CPON("f.cpon", []byte("{\n\"a\" ]}")), s, s.sources)
	if err := r.Err(); err == nil || !strings.HasPrefix(err.Error(), "f.cpon:2:5: not CPON: ") {
		t.Errorf("%v", err)
	}
}

func TestReports(t *testing.T) {
	var r conf.Reader
	_, _ = read(&r, "a: 1\nb: 2\nc: 3\n")
	err := r.Err()
	var fault *conf.Fault
	if !errors.As(err, &fault) || fault.Key != "a" || fault.Place.Line() != 1 || fault.Place.File() != "f" ||
		fault.FromCommandLine() {
		t.Errorf("%+v", fault)
	}
	r.Warn(conf.FromTexts(conf.FlagPlace("x"), false, "y"), "odd")
	if got := r.Warnings(); len(got) != 1 || got[0] != "--x: odd" {
		t.Errorf("%q", got)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none")
	if _, err := conf.ReadFile(missing); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), missing) != 1 {
		t.Error(err)
	}
	for _, bad := range []string{dir, "/dev/zero"} {
		if _, err := conf.ReadFile(bad); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := conf.ReadFile(file); err != nil || string(data) != "x" {
		t.Error(err)
	}
	at := conf.FilePlace("/etc/shv/f.yaml")
	for name, want := range map[string]string{"": "", "key.pem": "/etc/shv/key.pem", "/key.pem": "/key.pem"} {
		if got := conf.Beside(at, name); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
	if got := conf.Beside(conf.FlagPlace("x"), "key.pem"); got != "key.pem" {
		t.Error(got)
	}
}

func FuzzYAML(f *testing.F) {
	for _, text := range []string{"a: [b, {c: d}]\n", "? [a]: b", "a: &x\n  b: *x\n<<: *x", "- - -", "{{}}", "|\n x",
		"!!x", "a: 'b\n\tc'", "%YAML 1.2\n---\n? a", "%TAG ! x:\n---\n!y z", "a: !b c\n---\nd"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range []*conf.Reader{{}, {NullIsNone: true, Tags: true}} {
			_, faults := read(r, text)
			for line := range strings.SplitSeq(faults, "\n") {
				if faults != "" && !strings.HasPrefix(line, "f:") {
					t.Errorf("%q: %q", text, line)
				}
			}
		}
	})
}
