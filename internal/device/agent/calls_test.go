package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

const (
	stillRuns = `i{4:0x0.p+0}` // a Double
	noSuch    = `i{3:i{1:14,2:"no such request is running"}}`
)

// ask sends a query, or an abort, of a call of caller 7.
func (w *brokerSide) ask(id int, path, method string, abort bool) {
	w.t.Helper()
	w.Send(`<1:1,8:%d,9:%q,10:%q,11:7,17:63>i{5:%v}`, id, path, method, abort)
}

func TestQueryOfACommand(t *testing.T) {
	w := loggedIn(t, options(t))
	w.ask(1, "", "runCmd", false)
	w.expect(1, noSuch)
	fifo := filepath.Join(w.dir, "go")
	w.request(1, "", "runCmd", fmt.Sprintf(`["sh",["-c","while ! [ -e %s ]; do sleep 0.01; done; echo done"],1]`, fifo))
	w.ask(1, "", "runCmd", false)
	isResponse := func(v chainpack.Value) bool {
		_, ok := chainpack.Lookup(v.Meta(), chainpack.IntKey(rpc.TagRequestID))
		return ok
	}
	v := w.Value()
	for !isResponse(v) {
		v = w.Value()
	}
	if delay, ok := v.GetInt(rpc.KeyDelay); !ok || delay.Kind() != chainpack.KindDouble {
		t.Errorf("no Delay of a Double: %s", cpon.String(v))
	}
	// The same id of another caller is another call.
	w.Send(`<1:1,8:1,9:"",10:"runCmd",11:8,17:63>i{5:false}`)
	if got, want := w.answer(), `<1:1,8:1,11:8>`+noSuch; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := os.WriteFile(fifo, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.expect(1, `i{2:[0,"done\n"]}`)
	world.Eventually(t, "it is known as done", func() bool {
		w.ask(1, "", "runCmd", false)
		return w.answer() == "<1:1,8:1,11:7>"+noSuch
	})
}

func TestRepeatedRequestRunsOnce(t *testing.T) {
	w := loggedIn(t, options(t))
	ran := filepath.Join(w.dir, "ran")
	param := fmt.Sprintf(`["sh",["-c","echo x >> %s; while ! [ -e %s.go ]; do sleep 0.01; done"]]`, ran, ran)
	w.request(1, "", "runCmd", param)
	for range 3 {
		w.request(1, "", "runCmd", param)
		if got := w.answer(); !strings.HasPrefix(got, "<1:1,8:1,11:7>i{4:") {
			t.Errorf("got %s", got)
		}
	}
	if err := os.WriteFile(ran+".go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.expect(1, `i{2:[0]}`)
	if b, _ := os.ReadFile(ran); string(b) != "x\n" {
		t.Errorf("it ran %d times", len(b)/2)
	}
}

func TestAbortedCommandIsEndedAndHasNoOtherAnswer(t *testing.T) {
	w := loggedIn(t, options(t))
	group := w.sleeper(1)
	w.ask(1, "", "runCmd", true)
	w.expect(1, noSuch)
	world.Eventually(t, "its processes are gone", func() bool { return len(living(t, group)) == 0 })
	w.ask(1, "", "runCmd", false)
	w.expect(1, noSuch)
	w.check(2, "", "appName", "null", `i{2:"shvagent"}`)
}

func TestCommandEndsWithItsTime(t *testing.T) {
	o := options(t)
	o.Commands.Time = 2 * time.Second
	w := loggedIn(t, o)
	group := w.sleeper(1)
	w.expect(1, `i{3:i{1:8,2:"not done within 2s, the limit on this device"}}`)
	if left := living(t, group); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// A command never stops writing and ignores the signals to end.
func TestEndlessOutputIsAnError(t *testing.T) {
	o := options(t)
	o.Commands.Output = 100_000
	w := loggedIn(t, o)
	const tooLong = `i{3:i{1:8,2:"the output is longer than 100000 bytes, the limit on this device; the program was ` +
		`ended"}}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w.check(1, "", "runCmd", `["yes",1]`, tooLong)
	w.check(2, "", "runScript", `"yes >&2 & yes"`, tooLong)
	file := filepath.Join(w.dir, "pid")
	w.check(3, "", "runCmd",
		fmt.Sprintf(`["sh",["-c","echo $$ > %s; trap '' HUP TERM PIPE; yes & while :; do yes; done"],1,2]`, file), tooLong)
	text, _ := os.ReadFile(file)
	group, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if left := living(t, group); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	runtime.ReadMemStats(&after)
	const most = 16 << 20 // in two seconds yes writes gigabytes
	if taken := int64(after.Sys) - int64(before.Sys); taken > most {
		t.Errorf("it took %d bytes of memory", taken)
	}
}

func TestLostConnectionEndsItsCommands(t *testing.T) {
	w := loggedIn(t, options(t))
	group := w.sleeper(1)
	w.Close()
	world.Eventually(t, "its processes are gone", func() bool { return len(living(t, group)) == 0 })
	w.accept() // it comes back, and knows nothing of it
	w.ask(1, "", "runCmd", false)
	w.expect(1, noSuch)
}

func TestStopOfTheAgentEndsCommands(t *testing.T) {
	w := loggedIn(t, options(t))
	group := w.sleeper(1)
	w.stop()
	if left := living(t, group); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	w.expect(1, `i{3:i{1:8,2:"the agent on the device was stopped"}}`)
}

func TestCallersDoNotFillTheLog(t *testing.T) {
	log, o := new(record), options(t)
	o.Log = zerolog.New(log)
	w := loggedIn(t, o)
	for id := range 20 {
		w.check(2*id+1, "", "runCmd", `"true"`, `i{2:""}`) // there is no shvrexec to be the guard
		w.check(2*id+2, "", "runCmd", `"/nonexistent"`,
			`i{3:i{1:8,2:"Failed to start process (file not found, resource error)"}}`)
	}
	w.stop()
	for _, what := range []string{"command not guarded", "command not started"} {
		if lines := strings.Count(log.String(), what); lines != 6 ||
			!strings.Contains(log.String(), what+", again and again") {
			t.Errorf("%s, %d lines:\n%s", what, lines, log)
		}
	}
}

func TestTooManyCommandsAtOnce(t *testing.T) {
	w := loggedIn(t, options(t))
	const most = 16
	for id := range most {
		w.request(id+1, "", "runCmd", `["sleep",["1000"]]`)
	}
	w.check(100, "", "runCmd", `"true"`, `i{3:i{1:13,2:"16 commands are in progress on this device; try again later"}}`)
	w.ask(3, "", "runCmd", true)
	w.expect(3, noSuch)
	world.Eventually(t, "there is room again", func() bool {
		w.request(101, "", "runCmd", `"true"`)
		return w.answer() == `<1:1,8:101,11:7>i{2:""}`
	})
}

// A megabyte of small values would take more than a hundred of a small device.
func TestParamOfVeryManyValuesIsNotDecoded(t *testing.T) {
	w := loggedIn(t, options(t))
	w.request(1, "", "runCmd", `["true",[`+strings.Repeat(`"",`, 60_000)+`""]]`)
	w.expect(1, `i{2:[0]}`)
	w.request(2, "", "dir", `[`+strings.Repeat("1,", 70_000)+`1]`)
	if got := w.answer(); !strings.Contains(got, "unreadable request") || !strings.Contains(got, "items limit of 65536") {
		t.Errorf("got %.200s", got)
	}
	w.check(3, "", "appName", "null", `i{2:"shvagent"}`)
}

// writeHoles makes a file of 1 TiB that takes no place on the disk, and whose sha1
// takes longer than any test.
func writeHoles(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Fatal(err)
	}
}

func TestSlowFilesDoNotHoldUpTheReadLoop(t *testing.T) {
	o := options(t)
	o.Files.Dir = t.TempDir()
	large := filepath.Join(o.Files.Dir, "large")
	writeHoles(t, large)
	w := loggedIn(t, o)
	for id := range 20 {
		w.request(id+1, "sys/fs/large", "sha1", "null")
	}
	w.check(100, "", "appName", "null", `i{2:"shvagent"}`)
	w.ask(1, "sys/fs/large", "sha1", false)
	if got := w.answer(); !strings.HasPrefix(got, "<1:1,8:1,11:7>i{4:") {
		t.Errorf("got %s", got)
	}
	for id := range 20 {
		w.ask(id+1, "sys/fs/large", "sha1", true)
		w.expect(id+1, noSuch)
	}
	w.check(101, "sys/fs/large", "size", "null", `i{2:1099511627776}`)
}

// A user with many slow requests for files holds up no other one.
func TestFilesOfOneUserLeaveRoomForOthers(t *testing.T) {
	o := options(t)
	o.Files.Dir = t.TempDir()
	const files = 20
	for id := range files {
		writeHoles(t, filepath.Join(o.Files.Dir, fmt.Sprint("large", id)))
	}
	w := loggedIn(t, o)
	for id := range files {
		w.Send(`<1:1,8:%d,9:"sys/fs/large%d",10:"sha1",11:7,16:"eva",17:63>i{}`, id+1, id)
	}
	w.Send(`<1:1,8:100,9:"sys/fs/large0",10:"size",11:8,16:"bob",17:63>i{}`)
	if got := w.answer(); got != `<1:1,8:100,11:8>i{2:1099511627776}` {
		t.Errorf("got %s", got)
	}
	for id := range files {
		w.ask(id+1, fmt.Sprint("sys/fs/large", id), "sha1", true)
		w.expect(id+1, noSuch)
	}
}

// Writes that were sent one after the other are done in that order.
func TestCallsForOneFileKeepTheirOrder(t *testing.T) {
	o := options(t)
	o.Files.Dir = t.TempDir()
	w := loggedIn(t, o)
	var want strings.Builder
	const n = 200
	for id := range n {
		w.request(id+1, "sys/fs/f", "append", fmt.Sprintf(`"%d "`, id))
		fmt.Fprintf(&want, "%d ", id)
	}
	for id := range n {
		w.expect(id+1, `i{2:null}`)
	}
	if b, err := os.ReadFile(filepath.Join(o.Files.Dir, "f")); string(b) != want.String() {
		t.Errorf("%q, %v", b, err)
	}
}

func TestLaunchIsKnownWhileATunnelIsSought(t *testing.T) {
	w := loggedIn(t, options(t))
	w.request(5, "", "launchRexec", `{"method":"runPtyCmd","params":["sh",80,24]}`)
	find := w.answer()
	if !strings.Contains(find, "13:null,15:<1:3>i{1:1}") {
		t.Fatalf("no search: %s", find)
	}
	w.ask(5, "", "launchRexec", false)
	w.expect(5, stillRuns)
	w.request(5, "", "launchRexec", `{"method":"runPtyCmd","params":["sh",80,24]}`)
	w.expect(5, stillRuns)
	w.Send(`<1:1,8:5,15:<1:3>i{1:2,2:"127.0.0.1",3:1,4:"secret",5:5,6:7}>i{}`)
	if got := w.answer(); !strings.Contains(got, "i{3:i{1:8,2:") { // there is no helper
		t.Errorf("got %s", got)
	}
	world.Eventually(t, "it is over", func() bool {
		w.ask(5, "", "launchRexec", false)
		return w.answer() == "<1:1,8:5,11:7>"+noSuch
	})
}

// Many answers that together are larger than the queue must all arrive.
func TestLargeAnswersWaitForRoom(t *testing.T) {
	o := options(t)
	o.Commands = agent.Commands{Output: 2 << 20}
	o.Files = fsnode.Options{Dir: t.TempDir()}
	w := loggedIn(t, o)
	ended := filepath.Join(w.dir, "ended")
	for id := range 8 {
		w.request(id+1, "", "runCmd", fmt.Sprintf(`["sh",["-c","head -c 2000000 /dev/zero; echo >> %s"],1]`, ended))
	}
	world.Eventually(t, "all commands have ended", func() bool { // nobody reads meanwhile
		lines, _ := os.ReadFile(ended)
		return len(lines) == 8
	})
	for range 8 {
		if got := w.answer(); len(got) < 2_000_000 {
			t.Fatalf("got %.200s", got)
		}
	}
}

// Of several programs the last one counts, and all were sent.
func TestLargeParamsOfOneUserLeaveRoomForCommandsOfOthers(t *testing.T) {
	w := loggedIn(t, options(t))
	run := func(id int, user string) {
		w.Send(`<1:1,8:%d,10:"runCmd",11:7,16:%q,17:63>i{1:["%s","sleep",["1000"]]}`, id, user, strings.Repeat("x", 9<<20))
	}
	run(1, "eve")
	run(2, "eve")
	w.expect(2,
		`i{3:i{1:13,2:"the commands of this user in progress on this device carry too much data; try again later"}}`)
	w.Send(`<1:1,8:3,10:"runCmd",11:7,16:"bob",17:63>i{1:"true"}`)
	w.expect(3, `i{2:""}`)
	run(4, "bob")
	for _, id := range []int{1, 4} {
		w.ask(id, "", "runCmd", false)
		w.expect(id, stillRuns)
	}
}

// Callers write the beginning of a user id, and may write much.
func TestLongUserIDsFillNeitherLogNorSignals(t *testing.T) {
	log, o := new(record), options(t)
	o.Log = zerolog.New(log)
	w := loggedIn(t, o)
	w.Send(`<1:1,8:1,10:"runCmd",11:7,16:"%s;eve",17:63>i{1:"/nonexistent"}`, strings.Repeat("u", 1<<20))
	if text := cpon.String(w.signal()); len(text) > 2000 || !strings.Contains(text, ";eve") {
		t.Errorf("a signal of %d bytes", len(text))
	}
	w.expect(1, `i{3:i{1:8,2:"Failed to start process (file not found, resource error)"}}`)
	w.stop()
	if text := log.String(); len(text) > 10_000 || !strings.Contains(text, `u;eve"`) {
		t.Errorf("a log of %d bytes", len(text))
	}
}

// Nobody answers what the agent asks the broker for these calls.
func TestCallsThatFindNoTunnelLeaveRoomForOthers(t *testing.T) {
	o := options(t)
	o.Sessions.Total = 2
	w := loggedIn(t, o)
	launch := func(id int, user string) string {
		w.Send(`<1:1,8:%d,10:"launchRexec",11:7,16:%q,17:63>i{1:{"method":"runCmd","params":["true"]}}`, id, user)
		return w.answer()
	}
	for id := range 4 {
		got, refused := launch(id+1, "eve"), id == 3
		if strings.Contains(got, "too many sessions are being opened") != refused {
			t.Errorf("%d: %s", id, got)
		}
	}
	if got := launch(9, "bob"); !strings.Contains(got, "15:<1:3>i{1:1}") {
		t.Errorf("no search for another user: %s", got)
	}
}
