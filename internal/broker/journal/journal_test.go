package journal_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"shvtools/internal/broker/journal"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// body is a message whose body has size bytes.
func body(t *testing.T, size int) []byte {
	const around = 6 // of a text of 128 bytes and more
	return message(t, `<8:1>i{2:"`+strings.Repeat("x", size-around)+`"}`)
}

func TestBodyOf256BytesIsAbbreviated(t *testing.T) {
	for _, test := range []struct {
		size   int
		unsafe bool
		want   string
	}{
		{255, false, `<id:1>i{result:"xxx`},
		{256, false, `<id:1>" ... 256 bytes of data ... "`},
		{5000, false, `<id:1>" ... 5000 bytes of data ... "`},
		{256, true, `<id:1>i{result:"xxx`},
	} {
		got := line(body(t, test.size), test.unsafe, false)
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%d bytes, unsafe %v: %s, want %s", test.size, test.unsafe, got, test.want)
		}
	}
}

func TestMasks(t *testing.T) {
	for in, want := range map[string]string{
		`<8:2,10:"login">i{1:{"login":{"password":"p","type":"PLAIN","user":"iot"}}}`:                               `<id:2,method:"login">i{params:{"login":{"password":"***","type":"PLAIN","user":"iot"}}}`,
		`<8:2,10:"login">i{1:{"login":{"token":["t"],"user":"u"},"options":{"tunnel":{"secret":"s"},"device":{}}}}`: `<id:2,method:"login">i{params:{"login":{"token":"***","user":"u"},"options":{"tunnel":"***","device":{}}}}`,
		`<8:3,15:<1:3>i{1:2,2:"h",3:1,4:"s",7:["tls","s"],8:["tcp"]}>i{}`:                                           `<id:3,tctl:<T:TunnelCtl>i{State:2,Host:"h",Port:1,Secret:"***",7:"***",8:["tcp"]}>i{}`,
		`<8:3,15:<1:3>i{1:3,4:""}>i{}`:   `<id:3,tctl:<T:TunnelCtl>i{State:3,Secret:""}>i{}`,
		`<8:3,15:i{1:3,4:"s",4:"t"}>i{}`: `<id:3,tctl:i{State:3,Secret:"***",Secret:"***"}>i{}`,
		`<8:3,10:"launchRexec">i{1:{"method":"m","ext":{"version":1,"window":5,"run":{"exec":"x"},"env":{"A":"b"},"inband":"i"}}}`: `<id:3,method:"launchRexec">i{params:{"method":"m","ext":{"version":1,"window":5,"run":"***","env":"***","inband":"***"}}}`,
		`<8:3,9:"test/a/.rexec/i",10:"write">i{1:[0,4,b"typed"]}`:                                                                  `<id:3,shvPath:"test/a/.rexec/***",method:"write">" ... 14 bytes of data ... "`,
		`<8:3>i{2:[1,b"shown",4]}`:                                                                         `<id:3>i{result:"***"}`,
		`<8:3,9:".rexec/i",10:"attach">i{}`:                                                                `<id:3,shvPath:".rexec/***",method:"attach">i{}`,
		`<8:3,9:"a.rexec/i",10:"get">i{1:[1,2,3]}`:                                                         `<id:3,shvPath:"a.rexec/i",method:"get">i{params:[1,2,3]}`,
		`<8:3>i{2:{"ext":{"inband":"i","session":"n"}}}`:                                                   `<id:3>i{result:{"ext":{"inband":"***","session":"n"}}}`,
		`<8:3>i{2:<5:1>{"ext":<5:2>{"inband":"i"}}}`:                                                       `<id:3>i{result:<5:1>{"ext":<5:2>{"inband":"***"}}}`,
		`<8:3>i{2:{"user":"u","ext":"x","options":[1]}}`:                                                   `<id:3>i{result:{"user":"u","ext":"x","options":[1]}}`,
		`<8:3,9:".broker/access/users",10:"setValue">i{1:["u",{"password":{"Plain":"p"},"tokens":["t"]}]}`: `<id:3,shvPath:".broker/access/users",method:"setValue">i{params:["u",{"password":"***","tokens":"***"}]}`,
		`<8:3>i{2:"session-token:ABC"}`:                                                                    `<id:3>i{result:"***"}`,
		`<8:3,10:"runCmd">i{1:["sh",["-c","x"],{"A":"b"}]}`:                                                `<id:3,method:"runCmd">" ... 26 bytes of data ... "`,
		`<8:3,10:"runScript">i{1:"x"}`:                                                                     `<id:3,method:"runScript">" ... 6 bytes of data ... "`,
		`<8:3,10:"changePassword">i{1:["o","n"]}`:                                                          `<id:3,method:"changePassword">" ... 11 bytes of data ... "`,
	} {
		b := message(t, in)
		if got := line(b, false, false); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if got := line(b, true, false); strings.Contains(got, "***") {
			t.Errorf("masked in an unsafe journal: %s", got)
		}
	}
}

func TestDataIsShownBySizeAlone(t *testing.T) {
	b := message(t, `<1:1,8:3,11:2>i{2:[0,"p"]}`)
	if got, want := line(b, false, true), `<T:RpcMessage,id:3,cid:2>" ... 9 bytes of data ... "`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := line(b, true, true), `<T:RpcMessage,id:3,cid:2>i{result:[0,"p"]}`; got != want {
		t.Errorf("unsafe: got %s, want %s", got, want)
	}
}

func TestNamesAndWhatHasNone(t *testing.T) {
	for in, want := range map[string]string{
		`<1:1,2:0,8:1,9:"p",10:"m",11:[1,2],13:null,14:"rd",16:"u",17:8,19:"get",20:true>i{1:1}`: `<T:RpcMessage,NS:0,id:1,shvPath:"p",method:"m",cid:[1,2],rcid:null,grant:"rd",userId:"u",accessLevel:8,source:"get",20:true>i{params:1}`,
		`<1:2,"k":1,99:2>i{3:i{1:8,2:"no"},4:0.5,5:true,6:1}`:                                    `<T:2,"k":1,99:2>i{error:i{1:8,2:"no"},delay:0.5,abort:true,6:1}`,
		`<9:"a\nb\"">i{}`: `<shvPath:"a\nb\"">i{}`,
		`<15:5>i{}`:       `<tctl:5>i{}`,
		`<8:1>[1]`:        `<id:1>[1]`,
	} {
		if got := line(message(t, in), false, false); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestUnreadableMessagesHaveALineToo(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"\x8b\x48", "(unreadable: "},
		{"\x8b\x48\x41\xff", "<id:1>(unreadable body of 0 bytes: "},
		{"\x8b\x48\x41\xff\x8a\x42", "<id:1>(unreadable body of 2 bytes: "},
		{"", "<>(unreadable body of 0 bytes: "},
	} {
		if got := line([]byte(test.in), false, false); !strings.HasPrefix(got, test.want) || strings.Contains(got, "\n") {
			t.Errorf("% x: %s, want %s", test.in, got, test.want)
		}
	}
}

func TestNoJournalWritesNothing(t *testing.T) {
	var j *journal.Writer
	j.Received(1, []byte{1}, false)
	j.Sent(1, nil, true)
}

// writes counts the calls: a line that comes in pieces is one that another
// writer to the same file can get into.
type writes struct{ lines []string }

func (w *writes) Write(b []byte) (int, error) {
	w.lines = append(w.lines, string(b))
	return len(b), nil
}

func TestLinesOfManyLinksAreNotMixed(t *testing.T) {
	const links, each = 8, 50
	var out writes
	j := journal.New(&out, false)
	var group sync.WaitGroup
	for id := range int64(links) {
		b := message(t, fmt.Sprintf(`<8:%d>i{2:%d}`, id+1, id+1))
		group.Go(func() {
			for range each {
				j.Sent(id+1, b, false)
			}
		})
	}
	group.Wait()
	counts := map[string]int{}
	for _, l := range out.lines {
		counts[l]++
	}
	for id := 1; id <= links; id++ {
		if l := fmt.Sprintf("%d ==> <id:%d>i{result:%d}\n", id, id, id); counts[l] != each {
			t.Errorf("%q %d times, want %d", l, counts[l], each)
		}
	}
	if len(counts) != links {
		t.Errorf("lines: %v", counts)
	}
}

func TestJournalKeepsNothingOfTheMessage(t *testing.T) {
	var out bytes.Buffer
	j := journal.New(&out, false)
	b := message(t, `<8:1>i{2:"first"}`)
	j.Sent(1, b, false)
	copy(b, bytes.Repeat([]byte{0xff}, len(b)))
	if got := out.String(); got != "1 ==> <id:1>i{result:\"first\"}\n" {
		t.Errorf("got %q", got)
	}
}

// A command line may hold a password; the name of a shell may not.
func TestCommandIsMaskedWhereverItStands(t *testing.T) {
	for params, shown := range map[string]bool{
		`{"method":"runCmd","params":["/bin/sh","-c","secret"]}`:             false,
		`{"method":"runCmd","params":"secret"}`:                              false,
		`{"method":"runPtyCmd","params":[["/bin/sh","-c","secret"],80,24]}`:  false,
		`{"method":"runPtyCmd","params":["/bin/secret",80,24]}`:              true,
		`{"method":"runCmd","params":[],"ext":{"run":{"exec":"secret ls"}}}`: false,
	} {
		v, err := cpon.Parse([]byte(params), chainpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		journal.New(&b, false).Received(1, rpc.AppendRequest(nil, 3, "test/agent", "launchRexec", v), false)
		if strings.Contains(b.String(), "secret") != shown {
			t.Errorf("%s: %s", params, b.String())
		}
	}
}

// The param is masked, and the answer says as much: what a command printed, or a file held.
func TestAnswerToASecretCallIsMaskedOnEachLink(t *testing.T) {
	for _, method := range []string{"runCmd", "runScript", "read", "readCompressed", "changePassword"} {
		var out bytes.Buffer
		j := journal.New(&out, false)
		received := func(id int64, text string) { j.Received(id, message(t, text), false) }
		sent := func(id int64, text string) { j.Sent(id, message(t, text), false) }
		received(1, `<8:7,9:"d",10:"`+method+`">i{1:"secret"}`)
		received(2, `<8:7,9:"d",10:"get">i{}`)
		sent(3, `<8:7,9:"d",10:"`+method+`",11:1>i{1:"secret"}`)
		sent(3, `<8:7,9:"d",10:"get",11:2>i{}`)
		received(3, `<8:7,11:[1]>i{4:0.5}`)
		received(3, `<8:7,11:[1]>i{2:"secret"}`)
		received(3, `<8:7,11:2>i{2:"shown"}`)
		sent(1, `<8:7>i{2:"secret"}`)
		sent(1, `<8:7>i{3:i{1:8,2:"secret"}}`)
		sent(2, `<8:7>i{2:"shown"}`)
		if got := out.String(); strings.Contains(got, "secret") || strings.Count(got, `i{result:"shown"}`) != 2 {
			t.Errorf("%s:\n%s", method, got)
		}
	}
}

func TestSecretCallsAreRememberedWithinABound(t *testing.T) {
	var out bytes.Buffer
	j := journal.New(&out, false)
	const calls = 1<<16 + 10
	for id := range calls {
		j.Received(1, rpc.AppendRequest(nil, int64(id+1), "d", "runCmd", chainpack.String("x")), false)
	}
	out.Reset()
	for _, id := range []int{calls, 11} {
		j.Sent(1, message(t, fmt.Sprintf(`<8:%d>i{2:"secret"}`, id)), false)
	}
	if strings.Contains(out.String(), "secret") {
		t.Error(out.String())
	}
}

// Whoever can connect can put text into the journal, which somebody reads at a terminal.
func TestNoControlCharacterOfAStrangerReachesTheJournal(t *testing.T) {
	for _, bad := range []string{"\x1b[31m", "\n1 <== <>i{}", "\r", "\x00", "\x7f", "\u0085", "\u009b31m", "\x9b31m", "\u202e"} {
		text := chainpack.String(bad)
		for name, m := range map[string][]byte{
			"path":   rpc.AppendRequest(nil, 1, bad, "m", chainpack.Null()),
			"method": rpc.AppendRequest(nil, 1, "p", bad, chainpack.Null()),
			"param":  rpc.AppendRequest(nil, 1, "p", "m", chainpack.List(text, chainpack.Map(chainpack.F(bad, text)))),
			"blob":   rpc.AppendRequest(nil, 1, "p", "m", chainpack.Blob([]byte(bad))),
			"login":  rpc.AppendRequest(nil, 1, "", "login", chainpack.Map(chainpack.F("user", text))),
			"meta":   chainpack.Append(nil, chainpack.IMap().WithMeta(chainpack.N(rpc.TagUserID, text), chainpack.F(bad, text))),
		} {
			for _, unsafe := range []bool{false, true} {
				got := line(m, unsafe, false)
				if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(got) {
					t.Errorf("%s %q: %q", name, bad, got)
				}
			}
		}
	}
}
