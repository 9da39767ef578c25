package interop_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/test/proctest"
)

// server is a program that runs until the end of a test.
type server struct {
	*proctest.Process
	log *proctest.Record // its stdout and stderr
}

// start starts a program. The end of the test ends it, and shows what it wrote if the
// test has failed.
func start(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	log := proctest.NewRecord()
	p, err := proctest.Start(cmd, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("%s (%s) wrote:\n%s", p.Name, p.State(), log)
		}
	})
	return &server{p, log}
}

// await waits until done reports true. It fails the test if the program ends before.
func (s *server) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	finished := false
	ended := proctest.Until(patience, func() bool {
		running := s.Running() // asked first: what it did before its end counts
		finished = done()
		return finished || !running
	})
	switch {
	case finished:
	case ended:
		t.Fatalf("%s ended before this: %s", s.Name, what)
	default:
		t.Fatalf("%s: %s: not within %v", s.Name, what, patience)
	}
}

// awaitReady waits for a ready file and returns its lines.
func (s *server) awaitReady(t *testing.T, file string) []string {
	t.Helper()
	var text []byte
	s.await(t, "it is ready", func() bool {
		text, _ = os.ReadFile(file)
		return len(text) > 0
	})
	return strings.Fields(string(text))
}

// environment does not contain the settings of the user who runs the tests.
func environment(home string, more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home,
		"TERM=dumb", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1",
	}, more...)
}

// broker is a shvbroker without a configuration, so with the development user.
type broker struct {
	*server
	listens []string // its URLs
	journal string   // its file
}

func startBroker(t *testing.T, args ...string) *broker {
	t.Helper()
	dir := t.TempDir()
	b := &broker{journal: filepath.Join(dir, "journal")}
	ready := filepath.Join(dir, "ready")
	if len(args) == 0 {
		args = []string{"--listen", "tcp://127.0.0.1:0"}
	}
	cmd := exec.Command(program("shvbroker"), append(args, "--ready-file", ready, "--journal", b.journal)...)
	cmd.Env = environment(dir)
	b.server = start(t, cmd)
	b.listens = b.awaitReady(t, ready)
	return b
}

// count returns how often a text is in the journal.
func (b *broker) count(text string) int {
	journal, _ := os.ReadFile(b.journal)
	return strings.Count(string(journal), text)
}

// login returns a URL with which pyshv logs in. Without queries, it has the development
// user and its password.
func (b *broker) login(queries ...string) string {
	if len(queries) == 0 {
		queries = []string{"user=iot", "password=lub42DUB"}
	}
	return withQueries(b.listens[0], queries...)
}

func withQueries(url string, queries ...string) string {
	return url + "?" + strings.Join(queries, "&")
}

// startAgent starts our agent, mounted at test/agent of a broker, and waits for that.
func startAgent(t *testing.T, url, user, password string, options ...string) *server {
	t.Helper()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	cmd := exec.Command(program("shvagent"), "--url", url, "--user", user, "--mount", device,
		"--device-id", "interop", "--ready-file", ready)
	cmd.Args = append(cmd.Args, options...)
	cmd.Env = environment(dir, "SHV_PASSWORD="+password)
	s := start(t, cmd)
	s.awaitReady(t, ready)
	return s
}

// listensAt returns the port of 127.0.0.1 on which a process listens; 0 if there is none.
func listensAt(pid int) (port int) {
	sockets := map[string]bool{}
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range open {
		if target, _ := os.Readlink(fd); strings.HasPrefix(target, "socket:[") {
			sockets[strings.Trim(target, "socket:[]")] = true
		}
	}
	connections, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	for line := range strings.Lines(string(connections)) {
		const local, state, inode, listening = 1, 3, 9, "0A"
		fields := strings.Fields(line)
		if len(fields) > inode && fields[state] == listening && sockets[fields[inode]] {
			_, _ = fmt.Sscanf(fields[local], "0100007F:%X", &port)
		}
	}
	return port
}

func sha1Of(password string) string {
	sum := sha1.Sum([]byte(password))
	return hex.EncodeToString(sum[:])
}
