package interop_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is a program of testdata that a test commands.
type peer struct {
	t     *testing.T
	name  string
	stdin io.WriteCloser
	errs  strings.Builder // its stderr; to be read after its end
	ended chan struct{}   // closed when it has ended and all of its stdout is read

	mu      sync.Mutex
	lastID  int
	answers map[int]chan reply
	events  []event
	changed chan struct{} // closed and replaced at each event
}

// reply is the result of a command.
type reply struct {
	ID        int
	Result    json.RawMessage
	Error     *failure
	Cancelled bool
}

// failure is an SHV error. Code 0 is an error of the peer itself.
type failure struct {
	Code    int
	Message string
}

// event is a message that a peer sends without a command.
type event struct {
	Event, Path, Source, Signal string
	Param                       json.RawMessage
}

func (e event) String() string {
	return fmt.Sprintf("%s %s:%s:%s %s", e.Event, e.Path, e.Source, e.Signal, e.Param)
}

func startPeer(t *testing.T, script string, args ...string) *peer {
	t.Helper()
	p := &peer{t: t, name: script, ended: make(chan struct{}), answers: map[int]chan reply{}, changed: make(chan struct{})}
	cmd := exec.Command(inVenv("python"), append([]string{filepath.Join("testdata", script)}, args...)...)
	cmd.Env = environment(t.TempDir())
	cmd.Stderr = &p.errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.read(stdout)
		_ = cmd.Wait() // stderr has the reason for a failure
	}()
	t.Cleanup(func() {
		_ = p.stdin.Close()
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Errorf("%s did not end with its stdin", p.name)
			_ = cmd.Process.Kill()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("%s sent the events %v and wrote:\n%s", p.name, p.events, p.errs.String())
		}
	})
	return p
}

func (p *peer) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var said struct {
			reply
			event
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			p.t.Errorf("%s: %q: %v", p.name, lines.Text(), err)
			continue
		}
		p.mu.Lock()
		if said.Event != "" {
			p.events = append(p.events, said.event)
			close(p.changed)
			p.changed = make(chan struct{})
		} else if answer := p.answers[said.ID]; answer != nil {
			answer <- said.reply
		}
		p.mu.Unlock()
	}
}

// args are the arguments of a command, by name.
type args map[string]any

// begin sends a command and returns its id and a channel for its reply.
func (p *peer) begin(command string, a args) (id int, answer <-chan reply) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastID++
	p.answers[p.lastID] = make(chan reply, 1)
	p.write(map[string]any{"id": p.lastID, "do": command, "args": a})
	return p.lastID, p.answers[p.lastID]
}

func (p *peer) cancel(id int) { p.write(map[string]int{"cancel": id}) }

func (p *peer) write(message any) {
	line, err := json.Marshal(message)
	if err == nil {
		_, err = p.stdin.Write(append(line, '\n'))
	}
	if err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
}

func (p *peer) await(command string, answer <-chan reply) reply {
	p.t.Helper()
	select {
	case r := <-answer:
		return r
	case <-p.ended:
		p.t.Fatalf("%s ended before its answer to %s", p.name, command)
	case <-time.After(patience):
		p.t.Fatalf("%s: %s: no answer within %v", p.name, command, patience)
	}
	return reply{}
}

// do runs a command and returns its reply.
func (p *peer) do(command string, a args) reply {
	p.t.Helper()
	_, answer := p.begin(command, a)
	return p.await(command, answer)
}

// wants runs a command and compares its result, as JSON.
func (p *peer) wants(command string, a args, want string) {
	p.t.Helper()
	r := p.do(command, a)
	if r.Error != nil || string(r.Result) != want {
		p.t.Errorf("%s %v: %s, %v; want %s", command, a, r.Result, r.Error, want)
	}
}

// fails runs a command that must end with an error with code and words.
func (p *peer) fails(command string, a args, code int, words ...string) {
	p.t.Helper()
	r := p.do(command, a)
	if r.Error == nil || r.Error.Code != code {
		p.t.Errorf("%s %v: %s, %v; want error %d", command, a, r.Result, r.Error, code)
		return
	}
	for _, word := range words {
		if !strings.Contains(r.Error.Message, word) {
			p.t.Errorf("%s %v: error %q does not contain %q", command, a, r.Error.Message, word)
		}
	}
}

// must runs a command that must succeed, and decodes its result unless into is nil.
func (p *peer) must(command string, a args, into any) {
	p.t.Helper()
	r := p.do(command, a)
	if r.Error != nil {
		p.t.Fatalf("%s %v: error %d: %s", command, a, r.Error.Code, r.Error.Message)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(r.Result, into); err != nil {
		p.t.Fatalf("%s %v: %s: %v", command, a, r.Result, err)
	}
}

// awaitEvents waits until the peer has sent at least n events of a kind, and returns all
// of that kind.
func (p *peer) awaitEvents(kind string, n int) []event {
	p.t.Helper()
	late := time.After(patience)
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		events := p.eventsNow(kind)
		if len(events) >= n {
			return events
		}
		select {
		case <-changed:
		case <-p.ended:
			p.t.Fatalf("%s ended after %d of %d %s", p.name, len(events), n, kind)
		case <-late:
			p.t.Fatalf("%s: %d of %d %s within %v: %v", p.name, len(events), n, kind, patience, events)
		}
	}
}

// eventsNow returns the events of a kind so far.
func (p *peer) eventsNow(kind string) []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.events), func(e event) bool { return e.Event != kind })
}

// connected starts a client that logs in.
func connected(t *testing.T, url string) *peer {
	t.Helper()
	p := startPeer(t, "client.py")
	p.must("connect", args{"url": url}, nil)
	return p
}

// mounted starts a device that is mounted at test/device of our broker.
func mounted(t *testing.T, b *broker) *peer {
	t.Helper()
	p := startPeer(t, "device.py", b.login()+"&devmount=test/device")
	p.awaitEvents("mounted", 1)
	return p
}
