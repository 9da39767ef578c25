package rpc_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/wirecaptures"
)

func TestKindOfEachShapeOfMeta(t *testing.T) {
	for meta, want := range map[string]rpc.Kind{
		`1:1,8:1,10:"a"`:                    rpc.Request,
		`8:1,9:"",10:"a"`:                   rpc.Request,
		`8:1u,10:"a"`:                       rpc.Request,
		`8:2147483648,10:"a"`:               rpc.Request, // C++ never answers it; that is the caller's loss
		`1:1,8:1`:                           rpc.Response,
		`8:1,9:"a"`:                         rpc.Response,
		`10:"chng",9:"a"`:                   rpc.Signal,
		`10:"chng"`:                         rpc.Signal,
		`9:"a"`:                             rpc.Signal,
		`1:1`:                               rpc.Malformed,
		`11:3`:                              rpc.Malformed,
		`8:0,10:"a"`:                        rpc.Malformed,
		`8:-1,10:"a"`:                       rpc.Malformed,
		`8:"1",10:"a"`:                      rpc.Malformed,
		`8:null,10:"a"`:                     rpc.Malformed,
		`8:1.5,10:"a"`:                      rpc.Malformed,
		`8:<1:1>1,10:"a"`:                   rpc.Malformed,
		`8:3,8:"3",10:"a"`:                  rpc.Malformed, // the last 8 is what others see
		`8:"3",8:3,10:"a"`:                  rpc.Request,
		fmt.Sprintf(`8:%d`, int64(1)<<62):   rpc.Response,
		`"8":1,"10":"a"`:                    rpc.Malformed,
		`8:1,10:null`:                       rpc.Request,
		`40:1,8:1,"user":{"a":[1]},10:"ls"`: rpc.Request,
	} {
		if got := parse(t, "<"+meta+">i{}").Kind(); got != want {
			t.Errorf("<%s>: kind %d, want %d", meta, got, want)
		}
	}
}

func TestFieldsOfAWrongTypeAreAbsent(t *testing.T) {
	m := parse(t, `<8:"x",9:1,10:[2],14:[],15:7,17:"su">i{}`)
	if m.ID() != 0 || len(m.Path()) > 0 || len(m.Method()) > 0 ||
		m.Access() != rpc.AccessNone || m.Tunnel().State != rpc.NoTunnel {
		t.Errorf("id %d, path %q, method %q, access %d, tunnel %v", m.ID(), m.Path(), m.Method(), m.Access(), m.Tunnel())
	}
}

func TestBytesThatAreNoMessageAreRefused(t *testing.T) {
	var syntax *chainpack.SyntaxError
	var limit *chainpack.LimitError
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	isSyntax := func(err error) bool { return errors.As(err, &syntax) }
	isLimit := func(err error) bool { return errors.As(err, &limit) }
	many := func(entry string, n int) string { return "8b " + strings.Repeat(entry, n) + " ff 8a ff" }
	for _, test := range []struct {
		name, in string
		ok       func(error) bool
	}{
		{"nothing", "", is(io.ErrUnexpectedEOF)},
		{"no meta", "8a ff", is(rpc.ErrNoMeta)},
		{"TERM", "ff", is(rpc.ErrNoMeta)},
		{"meta without an end", "8b 48 41", is(io.ErrUnexpectedEOF)},
		{"meta alone", "8b 48 41 ff", is(io.ErrUnexpectedEOF)},
		{"key without value", "8b 48 ff 8a ff", isSyntax},
		{"key of another type", "8b 80 41 ff 8a ff", isSyntax},
		{"id above 64 bits", "8b 48 81 f5 01 00 00 00 00 00 00 00 00 ff 8a ff", isSyntax},
		{"path cut short", "8b 49 86 10 61", is(io.ErrUnexpectedEOF)},
		{"caller id negative", "8b 4b 82 41 ff 8a ff", isSyntax},
		{"caller id of 2^31", "8b 4b 82 f1 00 80 00 00 00 ff 8a ff", isSyntax},
		{"caller id a String", "8b 4b 86 01 31 ff 8a ff", isSyntax},
		{"caller id in a List in a List", "8b 4b 88 88 41 ff ff ff 8a ff", isSyntax},
		{"caller ids without an end", "8b 4b 88 41 42", is(io.ErrUnexpectedEOF)},
		{"65 caller ids", "8b 4b 88 " + strings.Repeat("41", 65) + " ff ff 8a ff", isLimit},
		{"129 fields", many("86 01 61 41", 129), isLimit},
		{"129 fields in two metas", strings.TrimSuffix(many("86 01 61 41", 100), " 8a ff") + many("7f 41", 29), isLimit},
		{"depth of 101", "8b 7f " + strings.Repeat("88", 101), isLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := new(rpc.Message).Parse(unhex(t, test.in)); err == nil || !test.ok(err) {
				t.Errorf("got %T: %v", err, err)
			}
		})
	}
	parseBytes(t, unhex(t, many("86 01 61 41", 128)))
	parseBytes(t, unhex(t, many("48 41", 300))) // one field, in the end
}

// Every decoder takes a CString as a String. So it must not name one path to this program and
// another to the receivers after it.
func TestCStringsAreStrings(t *testing.T) {
	const in = "8b 48 41 49 8e 61 2f 5c 5c 62 00 4a 8e 6c 73 00 8e 6b 00 41 ff 8a ff"
	m := parseBytes(t, unhex(t, in))
	if m.Kind() != rpc.Request || string(m.Path()) != `a/\b` || string(m.Method()) != "ls" {
		t.Errorf("kind %d, path %q, method %q", m.Kind(), m.Path(), m.Method())
	}
	if got := fmt.Sprintf("% x", append(m.AppendMeta(nil), m.Body()...)); got != in {
		t.Errorf("became %s", got)
	}
}

func TestMessageIsAsNewWhenParsedIntoAgain(t *testing.T) {
	m := parse(t, `<8:3,9:"a",10:"b",11:[1,2],13:3,14:"su",15:<1:3>i{1:5},16:"u",17:63>i{1:1}`)
	m.PushCaller(9)
	m.SetAccess(rpc.AccessRead)
	m.SetUserID(chainpack.String("x"))
	if err := m.Parse(encode(t, `<9:"">i{}`)); err != nil {
		t.Fatal(err)
	}
	if got := text(t, m); got != `<9:"">i{}` {
		t.Errorf("head %s", got)
	}
	if m.ID() != 0 || len(m.Method()) > 0 || len(m.Callers()) > 0 || len(m.RevCallers()) > 0 ||
		m.Access() != 0 || m.Tunnel().State != 0 || m.Has(rpc.TagUserID) {
		t.Errorf("%+v", m)
	}
}

func TestCapturedHeadsAreWrittenAsTheyCame(t *testing.T) {
	count := 0
	for _, frame := range capturedFrames(t) {
		m := parseBytes(t, frame[1:])
		if got := append(m.AppendMeta(nil), m.Body()...); string(got) != string(frame[1:]) {
			t.Errorf("% x became % x", frame[1:], got)
		}
		if _, err := m.Content(); err != nil {
			t.Errorf("% x: %v", frame[1:], err)
		}
		count++
	}
	if count < 1369 {
		t.Errorf("%d frames, want 1369", count)
	}
}

// capturedFrames are the ChainPack frames of all captures.
func capturedFrames(t testing.TB) (frames [][]byte) {
	for _, scenario := range wirecaptures.Scenarios(t) {
		for _, c := range wirecaptures.Load(t, scenario) {
			for _, stream := range [][]byte{c.ToBroker, c.ToClient} {
				all, err := wirecaptures.Frames(stream)
				if err != nil {
					t.Fatal(err)
				}
				for _, frame := range all {
					if len(frame) > 0 && frame[0] == 1 {
						frames = append(frames, frame)
					}
				}
			}
		}
	}
	return frames
}
