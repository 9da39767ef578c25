package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"shvtools/internal/test/proctest"
)

// tail is a screen for a flood of output. It keeps only the end.
type tail struct {
	mu    sync.Mutex
	total int64
	last  []byte
}

func (s *tail) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += int64(len(b))
	s.last = append(s.last, b...)
	if n := len(s.last) - 4096; n > 0 {
		s.last = append(s.last[:0], s.last[n:]...)
	}
	return len(b), nil
}

func (s *tail) look() (total int64, last string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total, string(s.last)
}

// flooded is a terminal with shvrsh that shows at most rate bytes per second; 0: no limit.
type flooded struct {
	w      *world
	master *os.File
	screen tail
	rsh    *process
}

func (w *world) flooded(rate int64) *flooded {
	w.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		w.t.Fatal(err)
	}
	slave = reopen(w.t, slave, false)
	f := &flooded{w: w, master: reopen(w.t, master, true)}
	go f.show(rate)
	if err := pty.Setsize(slave, &pty.Winsize{Cols: 80, Rows: 24}); err != nil {
		w.t.Fatal(err)
	}
	cmd := w.shvrsh(device)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	f.rsh = w.launch(cmd)
	f.ends(prompt)
	return f
}

func (f *flooded) show(rate int64) {
	buf := make([]byte, 4096)
	begun, shown := time.Now(), int64(0)
	for {
		n, err := f.master.Read(buf)
		if err != nil {
			return
		}
		_, _ = f.screen.Write(buf[:n])
		if rate == 0 {
			continue
		}
		shown += int64(n)
		ahead := time.Duration(shown)*time.Second/time.Duration(rate) - time.Since(begun)
		if ahead < 0 { // time without output must not be made up for
			begun, shown = time.Now(), 0
		}
		time.Sleep(ahead) // the terminal of this test is slow: it shows rate bytes a second
	}
}

// ends waits until the screen ends with a text.
func (f *flooded) ends(text string) {
	f.w.t.Helper()
	eventually(f.w.t, patience, fmt.Sprintf("the screen ends with %q", text), func() bool {
		_, last := f.screen.look()
		return strings.HasSuffix(last, text)
	})
}

func (f *flooded) shows(bytes int64) {
	f.w.t.Helper()
	before, _ := f.screen.look()
	eventually(f.w.t, patience, fmt.Sprintf("%d more bytes are shown", bytes), func() bool {
		total, _ := f.screen.look()
		return total-before >= bytes
	})
}

func (f *flooded) keys(keys string) {
	f.w.t.Helper()
	if _, err := f.master.WriteString(keys); err != nil {
		f.w.t.Fatal(err)
	}
}

// The prompt must be back soon: on an idle machine within 300 ms.
func TestCtrlCStopsAFlood(t *testing.T) {
	w := setup{}.start(t)
	for _, rate := range []int64{0, 1_000_000} {
		for _, command := range []string{"yes", `tr '\0' x </dev/zero`} {
			f := w.flooded(rate)
			f.keys(command + "\r")
			f.shows(2_000_000)
			start := time.Now()
			f.keys("\x03")
			f.ends(prompt)
			took := time.Since(start)
			t.Logf("%s at %d bytes/s (0: no limit): the prompt is back after %v", command, rate, took.Round(time.Millisecond))
			if took > time.Second {
				t.Errorf("%s at %d bytes/s: the prompt is back after %v", command, rate, took)
			}
			f.keys("exit\r")
			if code := f.rsh.code(t); code != 130 {
				t.Errorf("exit code %d", code)
			}
		}
	}
}

// hold is how long a program is stopped. Tests with virtual time stop one for an hour.
func hold() time.Duration {
	if long {
		return 70 * time.Second // a silent peer for which no broker vouches is dropped after 45 s
	}
	return 2 * time.Second
}

func TestSuspendedWhileTheDeviceWritesALot(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	const command = "seq 3000000; echo end; exit 6"
	want := sha256.New()
	local := exec.Command("/bin/sh", "-c", command)
	local.Stdout = want
	_ = local.Run() // exits with 6

	got := sha256.New()
	first := make(chan struct{})
	var once sync.Once
	cmd := w.rshCommand(command)
	cmd.Stdout = writerFunc(func(b []byte) (int, error) {
		once.Do(func() { close(first) })
		return got.Write(b)
	})
	p := w.launch(cmd)
	<-first
	p.signal(t, syscall.SIGSTOP)
	w.staysFor(hold())
	w.stillServes()
	p.signal(t, syscall.SIGCONT)
	if code := p.code(t); code != 6 || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("exit code %d, or not all of the output; stderr %q", code, p.log)
	}
}

func TestSuspendedTerminalWhileTheDeviceWritesALot(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	f := w.flooded(0)
	f.keys("seq 1000000\r")
	f.shows(100_000)
	f.rsh.signal(t, syscall.SIGSTOP)
	w.staysFor(hold())
	f.rsh.signal(t, syscall.SIGCONT)
	f.ends("999999\r\n1000000\r\n" + prompt)
	// All output: the numbers and their line ends, the echo and two prompts.
	const numbers = 6888896 + 1000000
	if total, _ := f.screen.look(); total < numbers || total > numbers+1000 {
		t.Errorf("%d bytes were shown, want %d and a little", total, numbers)
	}
	f.keys("exit 4\r")
	if code := f.rsh.code(t); code != 4 {
		t.Errorf("exit code %d", code)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// staysFor checks that the session lives for all of this time. The time passes because
// the hazard is a session that ends while its user is silent.
func (w *world) staysFor(hold time.Duration) {
	w.t.Helper()
	if proctest.Poll(hold, 20*time.Millisecond, func() bool { return len(w.helpers()) != 1 }) {
		w.t.Fatalf("the helper ended within %v", hold)
	}
}

func TestLargePasteArrivesWhole(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	const size = 1_000_000
	text := bytes.Repeat([]byte("some text\r\ttabs, \x1b[A ~. in a line \xc3\xa9\xff\x00\x03\x1a\r"), size/40)[:size]
	sum := fmt.Sprintf("%x  -", sha256.Sum256(text))
	for _, reader := range []string{
		"head -c 1000000",
		"for i in $(seq 20); do sleep 0.05; head -c 50000; done",
	} {
		term := w.shell(80, 24)
		term.typeKeys("stty raw -echo; echo be''gun; (" + reader + ") | sha256sum; stty sane\r")
		term.expect("begun\n")
		term.typeKeys(string(text))
		term.expect(sum)
		term.expect(prompt)
		term.typeKeys("exit\r")
		term.ends(0)
	}
}
