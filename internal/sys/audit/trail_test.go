package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// records reads the lines of a file that are JSON, and counts the others.
func records(t *testing.T, name string) (all []map[string]any, broken int) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		var r map[string]any
		if json.Unmarshal([]byte(line), &r) != nil {
			broken++
			continue
		}
		all = append(all, r)
	}
	return all, broken
}

func open(t *testing.T, o Options) *Trail {
	t.Helper()
	o.Program = "test"
	trail, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return trail
}

func toFile(name string) Options { return Options{Settings: Settings{File: name}} }

func TestRecordsAreLinesOfJSONForTheOwnerAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit")
	trail := open(t, toFile(name))
	exit := 3
	trail.Write(Record{Event: SessionStart, User: "eva", Session: "s1", Command: "ls -l"})
	trail.Write(Record{Event: SessionEnd, User: "eva", Session: "s1", End: &End{Exit: &exit, BytesOut: 7,
		Took: 1500 * time.Millisecond}})
	trail.Close()
	all, broken := records(t, name)
	if broken != 0 || len(all) != 2 {
		t.Fatalf("%v, %d broken", all, broken)
	}
	if all[0]["event"] != "session.start" || all[0]["command"] != "ls -l" || all[0]["exit"] != nil ||
		all[0]["program"] != "test" {
		t.Errorf("start: %v", all[0])
	}
	if all[1]["exit"] != 3.0 || all[1]["bytesIn"] != 0.0 || all[1]["bytesOut"] != 7.0 || all[1]["seconds"] != 1.5 {
		t.Errorf("end: %v", all[1])
	}
	if at, err := time.Parse(time.RFC3339, all[0]["time"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("time %v: %v", all[0]["time"], err)
	}
	if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// What a peer sends must not begin a line of its own, or reach a terminal as a command.
func TestTextsOfPeersCannotForgeRecords(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit")
	trail := open(t, toFile(name))
	for _, hostile := range []string{
		"a\n{\"event\":\"login\"}", "\x1b[2J", "\u009b31m", "\x7f", "\u202egpj", "\u2028", "\x00", "\xff\xfe",
		"\U000e0041", "\r",
	} {
		trail.Write(Record{Event: LoginRefused, User: hostile, Peer: hostile, Cause: hostile, Path: hostile,
			Command: hostile})
	}
	trail.Close()
	text, _ := os.ReadFile(name)
	all, broken := records(t, name)
	if broken != 0 || len(all) != 10 {
		t.Errorf("%d records, %d broken", len(all), broken)
	}
	for _, c := range string(text) {
		if c != '\n' && c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x202e || c == 0x2028 || c == 0xe0041 {
			t.Errorf("%U is in the file", c)
		}
	}
	if all[4]["user"] != "\u202egpj" || all[8]["user"] != "\U000e0041" {
		t.Errorf("the texts do not come back: %q %q", all[4]["user"], all[8]["user"])
	}
}

func TestLongTextsAreCutAndTheRecordSaysSo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit")
	trail := open(t, toFile(name))
	long := strings.Repeat("č", 50_000)
	trail.Write(Record{Event: SessionStart, User: "x" + long + ";eva", Path: long, Command: long, Cause: long, Rule: long})
	trail.Close()
	all, _ := records(t, name)
	r := all[0]
	if cut := fmt.Sprint(r["cut"]); cut != "[user command path rule cause]" {
		t.Errorf("cut: %v", cut)
	}
	if user := r["user"].(string); !strings.HasSuffix(user, ";eva") || len(user) > maxText || strings.Contains(user,
		"\uFFFD") {
		t.Errorf("the nearest users are gone: %d bytes, %q", len(user), user[len(user)-10:])
	}
	if info, _ := os.Stat(name); info.Size() > 64<<10 {
		t.Errorf("the line has %d bytes", info.Size())
	}
}

func TestFormsOfCommands(t *testing.T) {
	const hash = "sha256:2a3feb4fa6c6a7ea9a3bde7a0a1f4c8bcf5e7c8f5b0a0b6e0e3a0f0000000000"
	for _, tt := range []struct{ command, first string }{
		{"ls -l", "ls"}, {"  /usr/bin/mysql -psecret", "/usr/bin/mysql"}, {"PASSWORD=x run", "***"}, {"'my prog' x", "***"},
		{"curl https://u:p@h", "curl"}, {"https://u:p@h", "***"}, {"reboot;echo x", "reboot"}, {"-x", "***"}, {" ", "***"},
		{"", ""},
		{"\xffsecret", "***"}, {"[ -f x ]", "["},
	} {
		if got := FirstWord.of(tt.command); got != tt.first {
			t.Errorf("%q: %q, want %q", tt.command, got, tt.first)
		}
		if got := NoCommand.of(tt.command); got != "" {
			t.Errorf("none: %q", got)
		}
		if got := HashedText.of(tt.command); (got == "") != (tt.command == "") || got != "" && len(got) != len(hash) {
			t.Errorf("hash: %q", got)
		}
		if got := WholeCommand.of(tt.command); got != tt.command {
			t.Errorf("whole: %q", got)
		}
	}
	if got := CommandText([]string{"echo", "a b", "it's", "", "x=1"}); got != `echo 'a b' 'it'\''s' '' x=1` {
		t.Errorf("got %s", got)
	}
}

// A crash leaves half a line. Records after it must be lines of their own.
func TestHalfALineOfACrashStaysAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit")
	if err := os.WriteFile(name, []byte("{\"event\":\"login\"}\n{\"event\":\"lo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		trail := open(t, toFile(name))
		trail.Write(Record{Event: Logout})
		trail.Close()
	}
	if all, broken := records(t, name); len(all) != 3 || broken != 1 {
		t.Errorf("%d records, %d broken", len(all), broken)
	}
}

func TestRotatedFileIsLeftAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit")
	trail := open(t, toFile(name))
	trail.Write(Record{Event: Login})
	waitFor(t, func() bool { info, err := os.Stat(name); return err == nil && info.Size() > 0 })
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	trail.Reopen()
	trail.Write(Record{Event: Logout})
	trail.Close()
	before, _ := records(t, name+".1")
	after, _ := records(t, name)
	if len(before) != 1 || len(after) != 1 || after[0]["event"] != "logout" {
		t.Errorf("before %v, after %v", before, after)
	}
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// Whoever may write to a directory on the way must not choose the file.
func TestFilesThatOthersCouldChooseAreRefused(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	must(os.WriteFile(real, nil, 0o600))
	must(os.Symlink(real, filepath.Join(dir, "link")))
	must(os.WriteFile(filepath.Join(dir, "open"), nil, 0o600))
	must(os.Chmod(filepath.Join(dir, "open"), 0o666))
	must(os.WriteFile(filepath.Join(dir, "twice"), nil, 0o600))
	must(os.Link(filepath.Join(dir, "twice"), filepath.Join(dir, "again")))
	must(os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	must(os.Mkdir(filepath.Join(dir, "everybody"), 0o700))
	must(os.Chmod(filepath.Join(dir, "everybody"), 0o777))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	must(err)
	defer l.Close()
	names := map[string]string{
		"link": "symbolic link", "open": "written by others", "twice": "hard links", "dir": "director", "socket": "",
		"everybody/x": "by everybody",
		"none/x":      "no such",
	}
	if os.Geteuid() == 0 {
		must(os.WriteFile(filepath.Join(dir, "theirs"), nil, 0o600))
		must(os.Chown(filepath.Join(dir, "theirs"), 54321, 54321))
		must(os.Symlink(dir, filepath.Join(dir, "way")))
		must(os.Lchown(filepath.Join(dir, "way"), 54321, 54321))
		must(os.Mkdir(filepath.Join(dir, "yours"), 0o755))
		must(os.Mkdir(filepath.Join(dir, "yours", "mine"), 0o755))
		must(os.Chown(filepath.Join(dir, "yours"), 54321, 54321))
		must(os.Symlink(filepath.Join(dir, "yours"), filepath.Join(dir, "ours")))
		for _, name := range []string{"theirs", "way/x", "yours/x", "yours/mine/x", "ours/x"} {
			names[name] = "another user"
		}
	}
	for name, want := range names {
		name = filepath.Join(dir, name)
		o := toFile(name)
		o.Refuse = true
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open %s: %v", name, err)
		}
		if err := Check(name); err == nil {
			t.Errorf("Check %s: fine", name)
		}
		// With warn the program goes on, says so, and writes nothing there.
		var log bytes.Buffer
		o = toFile(name)
		o.Log = zerolog.New(&log)
		trail := open(t, o)
		trail.Write(Record{Event: Login})
		trail.Close()
		if strings.Count(log.String(), "audit: write failed") != 1 || trail.Lost() != 1 {
			t.Errorf("%s: lost %d, log %s", name, trail.Lost(), log.String())
		}
	}
	if text, _ := os.ReadFile(real); len(text) > 0 {
		t.Errorf("the file behind the link has %q", text)
	}
	for _, name := range []string{"real", "new"} {
		if err := Check(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// disk is a target that can be full, or hang.
type disk struct {
	mu     sync.Mutex
	lines  []string
	synced int
	full   bool
	hang   chan struct{} // writes wait until it is closed; nil: they do not
}

func (d *disk) write(lines [][]byte) (int, error) {
	d.mu.Lock()
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return 0, errors.New("no space left on device")
	}
	for _, each := range lines {
		d.lines = append(d.lines, string(each))
	}
	return len(lines), nil
}

func (d *disk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced = len(d.lines)
	return nil
}

func (d *disk) reopen() error { return nil }
func (d *disk) close()        {}

func (d *disk) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "")
}

func (d *disk) set(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func onDisk(t *testing.T, d *disk, s Settings) (*Trail, *bytes.Buffer) {
	var log bytes.Buffer
	trail := open(t, Options{Settings: s, Log: zerolog.New(zerolog.SyncWriter(&log))})
	trail.targets = []target{d}
	return trail, &log
}

func TestSessionBeginsOnlyAfterItsRecordIsOnTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		trail, log := onDisk(t, d, Settings{Refuse: true})
		begin := func(name string) error { return trail.Begin(Record{Event: SessionStart, Session: name}) }
		if err := begin("one"); err != nil || d.synced != 1 {
			t.Errorf("%v, %d lines on the disk", err, d.synced)
		}
		d.set(true)
		if err := begin("two"); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("a full disk: %v", err)
		}
		d.set(false)
		if err := begin("three"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := strings.Count(log.String(), "audit: write failed"); n != 1 || !strings.Contains(log.String(),
			"audit: writing again") {
			t.Errorf("log: %s", log.String())
		}
		if text := d.text(); strings.Contains(text, `"two"`) || !strings.Contains(text, `"event":"records.lost"`) ||
			!strings.Contains(text, `"count":1`) {
			t.Errorf("records: %s", text)
		}
		trail.Close()
	})
}

// A disk that hangs must hold up a session for a second, later ones not at all, and must
// not leave the record of a session that was refused.
func TestDiskThatHangsRefusesSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{hang: make(chan struct{})}
		trail, log := onDisk(t, d, Settings{Refuse: true})
		began := time.Now()
		if err := trail.Begin(Record{Event: SessionStart, Session: "one"}); err == nil || time.Since(began) != late {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		synctest.Wait()
		if err := trail.Begin(Record{Event: SessionStart, Session: "two"}); err == nil || time.Since(began) != late {
			t.Errorf("the second: %v after %v", err, time.Since(began))
		}
		for range 100 {
			trail.Write(Record{Event: Login}) // does not wait
		}
		close(d.hang)
		synctest.Wait()
		text := d.text()
		if !strings.Contains(text, `"session.end","session":"one"`) || strings.Contains(text, `"two"`) ||
			strings.Count(text, `"login"`) != 100 {
			t.Errorf("records: %s", text)
		}
		if err := trail.Begin(Record{Event: SessionStart, Session: "three"}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !strings.Contains(log.String(), "audit: writing again") {
			t.Errorf("log: %s", log.String())
		}
		trail.Close()
	})
}

func TestWaitingRecordsAreBoundedAndTheGapIsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{hang: make(chan struct{})}
		trail, _ := onDisk(t, d, Settings{})
		command := strings.Repeat("x", maxCommand)
		for range 4000 { // more than fills the queue twice: the writer may have taken it once
			trail.Write(Record{Event: SessionStart, Command: command})
		}
		if trail.size > maxWaiting || trail.Lost() < 300 {
			t.Errorf("%d bytes wait, %d records are lost", trail.size, trail.Lost())
		}
		lost := trail.Lost()
		close(d.hang)
		synctest.Wait()
		if got := strings.Count(d.text(), `"session.start"`); got != 4000-int(lost) {
			t.Errorf("%d records, %d lost", got, lost)
		}
		told := 0
		for _, line := range d.lines {
			var r struct {
				Event Event `json:"event"`
				Count int   `json:"count"`
			}
			if json.Unmarshal([]byte(line), &r) == nil && r.Event == RecordsLost {
				told += r.Count
			}
		}
		if told != int(lost) {
			t.Errorf("the record tells of %d, %d are lost", told, lost)
		}
		trail.Close()
	})
}

func TestRefusalsAreCountedAndSessionsAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		trail, log := onDisk(t, d, Settings{})
		for n := range 1000 {
			trail.Write(Record{Event: LoginRefused, User: "mal", Source: "10.0.0.1", Peer: fmt.Sprint("10.0.0.1:", n),
				Cause: "wrong password"})
			trail.Write(Record{Event: SessionStart, User: "eva"})
		}
		trail.Write(Record{Event: LoginRefused, User: "mal", Source: "10.0.0.2"})
		trail.Write(Record{Event: CallDenied, User: "eva", Source: "10.0.0.1"})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		text := d.text()
		for part, want := range map[string]int{
			`"login.refused"`: 12, `"cause":"wrong password","count":990`: 1, `"call.denied"`: 1, `"session.start"`: 1000,
		} {
			if got := strings.Count(text, part); got != want {
				t.Errorf("%d times %s, want %d", got, part, want)
			}
		}
		if n := strings.Count(log.String(), `"session begun"`); n != fewLines {
			t.Errorf("%d lines in the log", n)
		}
		if !strings.Contains(log.String(), `"times":940,"message":"session begun, again and again"`) {
			t.Error("the log does not say how many")
		}
		trail.Close()
	})
}

// Callers write the beginning of a chain of users: it must not free them of a limit, nor use up the
// keys that others have.
func TestMadeUpChainsAreLimitedAsOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		trail, log := onDisk(t, d, Settings{})
		for n := range 5000 {
			chain := fmt.Sprintf("x%d;mal", n)
			trail.Write(Record{Event: CallDenied, User: chain, By: "mal", Source: "10.0.0.1"})
			trail.Write(Record{Event: SessionStart, User: chain, By: "mal"})
		}
		trail.Write(Record{Event: CallDenied, User: "eva", By: "eva", Source: "10.0.0.2"})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		text := d.text()
		for part, want := range map[string]int{`"call.denied"`: fewRefusals + 2, `"count":4990`: 1, `"user":"eva"`: 1} {
			if got := strings.Count(text, part); got != want {
				t.Errorf("%d times %s, want %d", got, part, want)
			}
		}
		if n := strings.Count(log.String(), `"session begun"`); n != fewLines {
			t.Errorf("%d lines in the log", n)
		}
		trail.Close()
	})
}

// Names that a peer makes up must not take memory for ever.
func TestLimitsOfMadeUpUsersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		trail, _ := onDisk(t, d, Settings{})
		for n := range 5000 {
			trail.Write(Record{Event: LoginRefused, User: fmt.Sprint("u", n)})
		}
		if n := len(trail.refusals.seen); n > maxKeys+1 {
			t.Errorf("%d are remembered", n)
		}
		trail.Close()
		if text := d.text(); strings.Count(text, "\n") != maxKeys+fewRefusals+1 || !strings.Contains(text,
			`"user":"(several)"`) ||
			!strings.Contains(text, `"count":3990`) {
			t.Errorf("%d lines", strings.Count(text, "\n"))
		}
	})
}

func TestSyslogReceivesEachRecord(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	trail := open(t, Options{Settings: Settings{Syslog: true}, syslog: name})
	trail.Write(Record{Event: Login, User: "eva"})
	trail.Close()
	_ = l.SetReadDeadline(time.Now().Add(10 * time.Second))
	text := make([]byte, 1000)
	n, err := l.Read(text)
	if got := string(text[:n]); err != nil || !strings.HasPrefix(got, "<86>") || !strings.Contains(got, `"user":"eva"`) {
		t.Errorf("%q, %v", got, err)
	}
}

// Without a target, sessions are in the log all the same.
func TestLogHasSessionsWithoutATarget(t *testing.T) {
	var log bytes.Buffer
	trail := open(t, Options{Log: zerolog.New(&log), Settings: Settings{Command: FirstWord}})
	if err := trail.Begin(Record{Event: SessionStart, User: "eva\x1b", Command: "ls secret"}); err != nil {
		t.Error(err)
	}
	trail.Write(Record{Event: SessionEnd, User: "eva", End: &End{}})
	trail.Write(Record{Event: Login})
	trail.Close()
	for part, want := range map[string]int{
		`"message":"session begun"`: 1, `"command":"ls"`: 1, `"message":"session ended"`: 1, "secret": 0, "login": 0,
	} {
		if got := strings.Count(log.String(), part); got != want {
			t.Errorf("%d times %s in %s", got, part, log.String())
		}
	}
	var none *Trail
	none.Write(Record{})
	none.Reopen()
	none.Close()
	if none.Begin(Record{}) != nil || none.Lost() != 0 {
		t.Error("no trail refuses sessions")
	}
}

func FuzzRecordIsOneLineOfJSON(f *testing.F) {
	f.Add("eva", "ls\n-l", "\xff")
	f.Fuzz(func(t *testing.T, user, command, cause string) {
		r, cut := Record{Event: Login, User: user, Command: command, Cause: cause}.bounded(WholeCommand)
		text := appendLine(nil, "x", time.Now(), r, cut)
		var back map[string]any
		if err := json.Unmarshal(text, &back); err != nil || bytes.IndexByte(text, '\n') != len(text)-1 {
			t.Errorf("%q: %v", text, err)
		}
		if got, _ := back["cause"].(string); got != r.Cause {
			t.Errorf("%q came back as %q", r.Cause, got)
		}
	})
}
