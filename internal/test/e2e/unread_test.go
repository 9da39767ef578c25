package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

const (
	// manyDevices is how many mount in tests of a log that nobody reads. A pipe held the
	// lines of some 560.
	manyDevices = 2000
	// stopsWithin is what the end of a program may take beside a log that nobody reads:
	// a second for that, and what a busy machine needs.
	stopsWithin = 10 * time.Second
)

// smallPipe is a pipe as a shell makes it, which holds a page.
func smallPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	reader, writer = os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() {
		_ = reader.Close()
		_ = writer.Close()
	})
	shrink(t, writer)
	return reader, writer
}

func shrink(t *testing.T, pipe *os.File) {
	t.Helper()
	const setPipeSize = 1031 // F_SETPIPE_SZ
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, pipe.Fd(), setPipeSize, uintptr(os.Getpagesize())); errno != 0 {
		t.Fatal(errno)
	}
}

// mountMany mounts devices at the broker, and keeps them.
func (w *world) mountMany() {
	w.t.Helper()
	u, err := transport.ParseURL(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for i := range numbers {
				l := client.Login{
					User: login.DevelopmentUser, Password: login.DevelopmentPassword,
					MountPoint: fmt.Sprintf("test/many%d", i),
				}
				c, err := client.Dial(w.t.Context(), client.Options{URL: u, Login: l, Timeout: patience})
				if err != nil {
					w.t.Errorf("device %d: %v", i, err)
					continue
				}
				w.t.Cleanup(c.Close)
			}
		})
	}
	for i := range manyDevices {
		if w.t.Failed() {
			break
		}
		numbers <- i
	}
	close(numbers)
	workers.Wait()
}

// answersQuickly fails the test unless the broker answers a client.
func answersQuickly(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), told)
	defer cancel()
	if _, err := c.Call(ctx, ".broker/currentClient", "info", chainpack.Null()); err != nil {
		t.Errorf(".broker/currentClient:info: %v", err)
	}
}

// readUntil reads until a line has each of the parts.
func readUntil(t *testing.T, from io.Reader, parts ...string) {
	t.Helper()
	found := make(chan string, 1)
	go func() {
		defer close(found) // at the end of from
		lines := bufio.NewReader(from)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if hasAll(line, parts) {
				found <- line
				_, _ = io.Copy(io.Discard, from)
			}
		}
	}()
	select {
	case _, ok := <-found:
		if !ok {
			t.Errorf("no line says %q", parts)
		}
	case <-time.After(patience):
		t.Errorf("no line says %q within %v", parts, patience)
	}
}

func hasAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

func TestBrokerServesBesideAnUnreadLog(t *testing.T) {
	t.Parallel()
	_, stderr := smallPipe(t)
	w := setup{noAgent: true, brokerStderr: stderr}.start(t)
	first := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	w.mountMany()
	answersQuickly(t, first)
	answersQuickly(t, logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword))

	w.broker.signal(t, syscall.SIGTERM)
	if code := w.broker.codeWithin(t, stopsWithin); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The helpers have the agent's stderr.
func TestAgentServesBesideAnUnreadLog(t *testing.T) {
	t.Parallel()
	_, stderr := smallPipe(t)
	if _, err := stderr.Write(make([]byte, os.Getpagesize())); err != nil { // it is full now
		t.Fatal(err)
	}
	w := setup{agentStderr: stderr, agentEnv: []string{"SHV_LOG_LEVEL=trace"}}.start(t)
	w.rshWith(strings.NewReader("a\nb\n"), "wc -l; exit 3").wants(t, 3, "2\n", "")
	p, _ := w.started("echo ready; exec sleep 60")
	w.killHelper()
	if code := p.code(t); code != 255 {
		t.Errorf("exit code %d", code)
	}
	w.rsh("true").wants(t, 0, "", "")
	eventually(t, patience, "all helpers end", func() bool { return len(w.helpers()) == 0 })
	w.agent.signal(t, syscall.SIGTERM)
	if code := w.agent.codeWithin(t, stopsWithin); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// fill calls the broker with size MiB of text, which the journal shows.
func fill(t *testing.T, c *client.Client, size int) {
	t.Helper()
	text := chainpack.String(strings.Repeat("x", 1<<20))
	for range size {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := c.Call(ctx, "test", "nothing", text)
		cancel()
		var answer *rpc.Error
		if !errors.As(err, &answer) {
			t.Error(err)
		}
	}
}

// The journal is on stderr, too: it fills what may wait there.
func TestLostLinesAreReportedOnceTheLogIsRead(t *testing.T) {
	t.Parallel()
	reader, stderr := smallPipe(t)
	w := setup{noAgent: true, brokerStderr: stderr, brokerOptions: []string{"--journal", "-", "--journal-unsafe"}}.start(t)
	first := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	fill(t, first, 3)
	answersQuickly(t, first)
	_ = stderr.Close() // only the broker writes there
	readUntil(t, reader, "ERR log: lines lost lines=")
	logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
}

func TestBrokerServesBesideAnUnreadJournal(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "journal")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0) // with O_RDONLY it would wait for the broker
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	shrink(t, reader)
	w := setup{noAgent: true, brokerOptions: []string{"--journal", fifo, "--journal-unsafe"}}.start(t)
	first := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	fill(t, first, 6)
	answersQuickly(t, first)
	readUntil(t, reader, " messages are missing here: ")
	w.broker.says(t, "ERR journal: messages lost lost=")
	w.broker.signal(t, syscall.SIGTERM)
	if code := w.broker.codeWithin(t, stopsWithin); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// As with `2> >(head -n 1)`: a reader that goes away takes nobody with it.
func TestDaemonsOutliveTheReaderOfTheirLog(t *testing.T) {
	t.Parallel()
	brokers, brokerStderr := smallPipe(t)
	agents, agentStderr := smallPipe(t)
	w := setup{noAgent: true, brokerStderr: brokerStderr, agentStderr: agentStderr}.start(t)
	firstLine := func(r *os.File) {
		t.Helper()
		if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line == "" {
			t.Errorf("the first line is %q: %v", line, err)
		}
		_ = r.Close()
	}
	_ = brokerStderr.Close()
	firstLine(brokers)
	w.startAgent()
	_ = agentStderr.Close()
	firstLine(agents)

	// Both write a line about each of these.
	for range 3 {
		p, _ := w.started("echo ready; exec sleep 60")
		w.killHelper()
		p.code(t)
	}
	// Programs that they start have the default action.
	w.rsh("kill -PIPE $$").wants(t, 128+int(syscall.SIGPIPE), "", "")
	w.rsh("yes | head -n 1").wants(t, 0, "y\n", "")
	for _, p := range []*process{w.agent, w.broker} {
		if !p.Running() {
			t.Errorf("%s has ended: %v", p.Name, p.Cmd.ProcessState)
		}
	}
}
