package replay

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/rexec"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/test/proctest"
)

// helper is our helper with the recorded broker, agent and client around it.
type helper struct {
	*peer
	run    *running[error]
	out    *proctest.Record // what it writes to its agent
	writes int64            // request id of what it sends
	to     chainpack.Value
	said   [3]strings.Builder // by channel
}

// runHelper starts our helper with the C++ agent's line for a recorded connection, and
// plays the connection up to the CreateTunnelResponse, which it does not send.
func runHelper(t *testing.T, scenario, conn string) *helper {
	t.Helper()
	s := serve(t)
	h := launchHelper(t, s, scenario, conn)
	h.play(5) // login, CreateTunnelRequest
	return h
}

func launchHelper(t *testing.T, s *server, scenario, conn string) *helper {
	t.Helper()
	created := recordedState(t, scenario, conn, 3)
	id, _ := tag(created, 8)
	callers, _ := tag(created, 11)
	ctl, _ := tag(created, 15)
	line := lineOfCpp(s.here(ctl), id, recordedParam(t, scenario, callers))

	agent, toHelper := io.Pipe()
	t.Cleanup(func() { _ = toHelper.Close() })
	out := proctest.NewRecord()
	run := start(t, func(ctx context.Context) error {
		return rexec.Run(ctx, rexec.Options{
			In:      agent,
			Out:     out,
			Environ: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + t.TempDir(), "PS1=$ "},
			Log:     zerolog.Nop(),
		})
	})
	if _, err := io.WriteString(toHelper, cpon.String(line)+"\n"); err != nil {
		t.Fatal(err)
	}
	h := &helper{peer: s.accept(scenario, conn), run: run, out: out, to: callers}
	h.writes, _ = id.AsInt()
	h.ours = func(v chainpack.Value) (chainpack.Value, bool) {
		if state, _ := control(v, 1).AsInt(); state == 3 {
			meta := replaced(v.Meta(), chainpack.IntKey(15), s.here)
			meta = replaced(meta, chainpack.IntKey(15), emptySecret)
			return v.WithMeta(meta...), true
		}
		return anyPassword()(v)
	}
	return h
}

// here returns a TunnelCtl with our port.
func (s *server) here(ctl chainpack.Value) chainpack.Value {
	port := always(chainpack.Int(s.port))
	return chainpack.IMap(replaced(ctl.Entries(), chainpack.IntKey(3), port)...).WithMeta(ctl.Meta()...)
}

// recordedState returns the first message of a connection with a TunnelCtl of that state.
func recordedState(t *testing.T, scenario, conn string, state int64) chainpack.Value {
	t.Helper()
	for _, e := range one(t, scenario, conn) {
		for _, frame := range e.frames {
			v, _ := message(frame)
			if n, ok := control(v, 1).AsInt(); ok && n == state {
				return v
			}
		}
	}
	t.Fatalf("%s %s has no State %d", scenario, conn, state)
	return chainpack.Value{}
}

// recordedParam returns the param of the launchRexec call with these caller ids.
func recordedParam(t *testing.T, scenario string, callers chainpack.Value) chainpack.Value {
	t.Helper()
	for _, e := range one(t, scenario, "agent") {
		for _, frame := range e.frames {
			v, _ := message(frame)
			method, _ := tag(v, 10)
			from, _ := tag(v, 11)
			if method.Equal(chainpack.String("launchRexec")) && from.Equal(callers) {
				return at(v, 1)
			}
		}
	}
	t.Fatalf("%s: nobody called launchRexec for %s", scenario, cpon.String(callers))
	return chainpack.Value{}
}

// read receives one message of the open tunnel and checks its form: a client of the base
// protocol gets data on channels 1 and 2, CloseTunnel with Null, and nothing else. It
// reports whether the tunnel is still open.
func (h *helper) read() bool {
	h.t.Helper()
	v := h.next()
	result, _ := v.GetInt(2)
	channel, _ := result.At(0).AsInt()
	data, _ := result.At(1).AsString()
	head := []chainpack.Entry{
		chainpack.N(1, chainpack.Int(1)),
		chainpack.N(8, chainpack.Int(h.writes)),
		chainpack.N(11, h.to),
	}
	if v.Equal(tunnelData(channel, data, head)) && (channel == 1 || channel == 2) {
		h.said[channel].WriteString(data)
		return true
	}
	ctl := chainpack.IMap(chainpack.N(1, chainpack.Int(5))).WithMeta(chainpack.N(1, chainpack.Int(3)))
	head = append(head, chainpack.N(15, ctl))
	want := chainpack.IMap(chainpack.N(2, chainpack.Null())).WithMeta(head...)
	if !v.Equal(want) {
		h.t.Fatalf("neither data nor CloseTunnel of the base protocol: %s", cpon.String(v))
	}
	return false
}

// until reads until a channel has sent a text, and drops what the channel sent so far.
func (h *helper) until(channel int, text string) {
	h.t.Helper()
	for !strings.Contains(h.said[channel].String(), text) {
		if !h.read() {
			h.t.Fatalf("closed, but channel %d said only %q", channel, h.said[channel].String())
		}
	}
	h.said[channel].Reset()
}

// untilClosed reads to the end and returns what was sent on both channels.
func (h *helper) untilClosed() (stdout, stderr string) {
	h.t.Helper()
	for h.read() {
	}
	return h.said[1].String(), h.said[2].String()
}

// returned waits for the end of the helper and of its process group.
func (h *helper) returned() {
	h.t.Helper()
	if err := h.run.wait(); err != nil {
		h.t.Error(err)
	}
	for _, line := range bytes.Split(h.out.Bytes(), []byte("\n")) {
		group, ok := helperline.ParseStarted(line)
		if !ok {
			continue
		}
		// A killed process may take a moment to die.
		if !proctest.Until(deadline, func() bool { return !livesGroup(h.t, group) }) {
			h.t.Errorf("process group %d is left", group)
		}
	}
}

// livesGroup reports whether a process group has a living member. Dead ones do not
// count, because nobody may be there to reap them.
func livesGroup(t *testing.T, group int) bool {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		// "pid (name) state ppid pgrp …"; the name may hold anything.
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(f) > 2 && string(f[0]) != "Z" && string(f[2]) == strconv.Itoa(group) {
			return true
		}
	}
	return false
}

// The recorded raw client sent its data in all possible forms.
func TestHelperTakesRecordedDataAndIsHungUpByCloseTunnel(t *testing.T) {
	t.Parallel()
	h := runHelper(t, "h_tunnel_raw", "rexec")
	h.play(1) // CreateTunnelResponse
	h.until(1, "$ ")
	tell := func() { h.tell(h.input()) }
	tell()
	h.until(1, "\r\nlist\r\n$ ")
	tell() // a bare String
	h.until(1, "\r\nbare\r\n$ ")
	// The C++ helper loses the Blob (spec.md 8.6); ours accepts it.
	tell()
	h.until(1, "\r\nblob\r\n$ ")
	tell() // channel 5
	tell() // [0,""]
	tell() // an error
	h.say(`<1:1,8:3>i{2:[0,"echo a''live\r"]}`)
	for !strings.Contains(h.said[1].String(), "\r\nalive\r\n") {
		h.read()
	}
	if said := h.said[1].String(); strings.Contains(said, "chan5") {
		t.Errorf("what came on channel 5 reached the shell: %q", said)
	}
	// The C++ helper ignores CloseTunnel; ours hangs up (design.md 6, End).
	tell()
	h.returned()
}

// input returns the next recorded message to the helper, and skips what the recorded
// helper sent before it.
func (h *helper) input() chainpack.Value {
	h.t.Helper()
	for {
		e := h.due()
		if v, _ := message(e.frames[0]); e.kind == receives {
			return v
		}
	}
}

// The recorded shvrsh types in a shell of our helper.
func TestHelperRunsTheRecordedShell(t *testing.T) {
	t.Parallel()
	h := runHelper(t, "b_rsh_session", "rexec")
	h.play(1)
	h.tell(h.input()) // l
	h.tell(h.input()) // s
	h.tell(h.input()) // Enter
	h.tell(h.input()) // tty; stty size; echo $TERM; ps …
	h.until(1, "24 80\r\nxterm\r\n")
	h.tell(h.input()) // exit
	if stdout, _ := h.untilClosed(); !strings.HasSuffix(stdout, "exit\r\n") {
		t.Errorf("the last that was said is %q", stdout)
	}
	h.expectEnd()
	h.returned()
}

func TestHelperKeepsRecordedStdoutAndStderrApart(t *testing.T) {
	t.Parallel()
	h := runHelper(t, "h_tunnel_raw", "rexec6")
	h.play(1)
	for h.said[1].Len() < len("out\n") || h.said[2].Len() < len("err\n") {
		h.read()
	}
	if out, err := h.said[1].String(), h.said[2].String(); out != "out\n" || err != "err\n" {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
	h.tell(h.input())
	h.until(1, "to cat\n")
	h.say(`<1:1,8:3,15:<1:3>i{1:5}>i{2:null}`)
	h.returned()
}

// The whole conversation is compared, message by message.
func TestHelperAnswersAQuickCommandAsRecorded(t *testing.T) {
	t.Parallel()
	h := runHelper(t, "h_tunnel_raw", "rexec7")
	h.play(len(h.events))
	h.expectEnd()
	h.returned()
}

func TestHelperRunsRecordedShapesOfParams(t *testing.T) {
	for _, tt := range []struct{ name, conn, input, stdout, stderr string }{
		{name: "argv list", conn: "rexec10", stdout: "argv list a0 a1\r\n"},
		{name: "no window size", conn: "rexec9", input: `<1:1,8:3>i{2:[0,"stty size; exit\r"]}`, stdout: "0 0\r\n"},
		// The C++ helper stays silent (spec.md 8.7); ours reports the error as output.
		{name: "no such program", conn: "rexec8", stderr: "/nosuch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := runHelper(t, "h_tunnel_raw", tt.conn)
			h.play(1)
			if tt.input != "" {
				h.say(tt.input)
			}
			stdout, stderr := h.untilClosed()
			if !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && stderr != "" {
				t.Errorf("stdout %q, stderr %q", stdout, stderr)
			}
			h.expectEnd()
			h.returned()
		})
	}
}

// The C++ helper makes the tunnel and ends silently. Ours makes none, and answers the
// call with an error (spec.md 8.7).
func TestHelperAnswersRecordedCallsThatItCannotRun(t *testing.T) {
	for _, tt := range []struct{ name, conn, answer string }{
		{"bogus method", "rexec11", `<1:1,8:41,11:19>i{3:i{1:2,2:"*"}}`},
		{"no params", "rexec12", `<1:1,8:41,11:21>i{3:i{1:3,2:"*"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			h := launchHelper(t, s, "h_tunnel_raw", tt.conn)
			h.play(4) // login
			h.expect(parse(t, tt.answer))
			h.expectEnd()
			h.returned()
		})
	}
}

// The recorded client never sends State 4; both helpers give up after 5 s.
func TestHelperGivesUpOnASilentClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 5 s")
	}
	t.Parallel()
	began := time.Now() // before the helper starts, so that its 5 s cannot seem shorter
	h := runHelper(t, "h_tunnel_raw", "rexec13")
	h.expectEnd()
	if err := h.run.wait(); err == nil {
		t.Error("no error")
	}
	if waited := time.Since(began); waited < 4*time.Second {
		t.Errorf("gave up after %v", waited)
	}
}
