package replay

import (
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rs/zerolog"

	"shvtools/internal/session/inband"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shell/rsh"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/test/proctest"
)

// shell is our shvrsh with the recorded broker, agent and helper around it.
type shell struct {
	*peer
	keyboard *os.File // the master of its terminal; nil: stdin is not a terminal
	run      *running[outcome]
	output   *proctest.Record
	drained  chan struct{} // closed when all output is recorded
}

type outcome struct {
	code int
	err  error
}

// session says what shvrsh runs, and which recording it is compared with.
type session struct {
	scenario, conn string
	cols, rows     uint16 // a shell on a terminal of this size
	path           string // of the agent; "": test/agent
	command        []string
	stdin          string // of a command
}

// open starts our shvrsh and accepts its connection.
func open(t *testing.T, o session) *shell {
	t.Helper()
	s := serve(t)
	sh := &shell{output: proctest.NewRecord(), drained: make(chan struct{})}
	stdin := sh.stdin(t, o)
	out, stdout := pipe(t)
	go func() {
		defer close(sh.drained)
		_, _ = io.Copy(sh.output, out)
	}()
	if o.path == "" {
		o.path = "test/agent"
	}
	sh.run = start(t, func(ctx context.Context) outcome {
		defer stdout.Close()
		code, err := rsh.Run(ctx, rsh.Options{
			URL: s.url, User: "iot", Password: "lub42DUB",
			Path: o.path, Command: o.command, TTY: o.command == nil,
			Stdin: stdin, Stdout: stdout, Stderr: stdout,
			Env: []tunnel.EnvVar{{Name: "TERM", Value: "xterm"}},
			Log: zerolog.Nop(),
		})
		return outcome{code, err}
	})
	sh.peer = s.accept(o.scenario, o.conn)
	sh.ours = offered
	return sh
}

// stdin returns a terminal for a shell and a pipe for a command.
func (sh *shell) stdin(t *testing.T, o session) *os.File {
	t.Helper()
	if o.command != nil {
		r, w := pipe(t)
		if _, err := io.WriteString(w, o.stdin); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
		return r
	}
	master, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	t.Cleanup(func() { _ = master.Close() })
	sh.keyboard = master
	sh.resize(t, o.cols, o.rows)
	return terminal
}

func (sh *shell) resize(t *testing.T, cols, rows uint16) {
	t.Helper()
	if err := pty.Setsize(sh.keyboard, &pty.Winsize{Cols: cols, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	t.Cleanup(func() { _ = w.Close() })
	return r, w
}

// offered is a recorded call of launchRexec as our shvrsh makes it: with our offer
// (protocol.md 1), and with the size as Int, as in the recorded session of spec.md 13.
// The shvrsh of the captures sent UInt (spec.md 8.5). All else is the same.
func offered(v chainpack.Value) (chainpack.Value, bool) {
	if at(v, 1, "method").IsNull() {
		return v, true
	}
	param := at(v, 1)
	entries := replaced(param.Entries(), chainpack.StringKey("params"), func(params chainpack.Value) chainpack.Value {
		cols, _ := params.At(1).AsInt()
		rows, _ := params.At(2).AsInt()
		return chainpack.List(params.At(0), chainpack.Int(cols), chainpack.Int(rows))
	})
	entries = append(entries, chainpack.F("ext", offer(tunnel.PtyWindow, tunnel.Run{Kind: tunnel.RunShell})))
	return chainpack.IMap(chainpack.N(1, chainpack.Map(entries...))).WithMeta(v.Meta()...), true
}

func offer(window int64, run tunnel.Run) chainpack.Value {
	return tunnel.Ext{
		Version: tunnel.Version,
		Window:  window,
		Run:     run,
		Env:     []tunnel.EnvVar{{Name: "TERM", Value: "xterm"}},

		Features: []string{inband.Feature},
	}.Value()
}

// converse plays the rest of a recorded session and returns all recorded output. It
// types what was typed, which must arrive as the recorded data and as nothing else,
// since the recorded helper does not know channel 3. It sends the recorded output.
func (sh *shell) converse(each func()) (shown string) {
	sh.t.Helper()
	for len(sh.events) > 0 {
		v, _ := message(sh.events[0].frames[0])
		if state, _ := control(v, 1).AsInt(); state != 0 {
			sh.play(1)
			continue
		}
		if sh.events[0].kind == receives {
			text := sh.data()
			shown += text
			sh.tell(v)
			continue
		}
		each()
		typed := sh.data()
		sh.typed(typed, v)
	}
	return shown
}

// typed types text and receives it, possibly in pieces.
func (sh *shell) typed(text string, recorded chainpack.Value) {
	sh.t.Helper()
	if _, err := io.WriteString(sh.keyboard, text); err != nil {
		sh.t.Fatal(err)
	}
	for text != "" {
		got := sh.next()
		result, _ := got.GetInt(2)
		piece, _ := result.At(1).AsString()
		want := tunnelData(0, piece, recorded.Meta())
		rest, ok := strings.CutPrefix(text, piece)
		if !got.Equal(want) || !ok || piece == "" {
			sh.t.Fatalf("typed %q, got %s", text, show(payload(got)))
		}
		text = rest
	}
}

// ended waits for the end of shvrsh and checks its exit code and output. err is a part
// of its error text; "": it has no error.
func (sh *shell) ended(code int, err, shown string) {
	sh.t.Helper()
	got := sh.run.wait()
	if got.code != code || (got.err == nil) != (err == "") || got.err != nil && !strings.Contains(got.err.Error(), err) {
		sh.t.Errorf("exit code %d, error %v", got.code, got.err)
	}
	if got.err != nil && strings.Contains(got.err.Error(), "\n") {
		sh.t.Errorf("the error has more than one line: %q", got.err)
	}
	select {
	case <-sh.drained:
	case <-time.After(deadline):
		sh.t.Fatal("the output does not end")
	}
	if out := string(sh.output.Bytes()); out != shown {
		sh.t.Errorf("%d bytes were shown, want %d", len(out), len(shown))
	}
}

// The C++ helper does not report an exit code: CloseTunnel with Null means 0.
func TestShellTypesAndShowsARecordedSession(t *testing.T) {
	for _, scenario := range []string{
		"b0_direct_tcpdump", "b_rsh_session", "b4_rsh_exit_code", "b5_rsh_output_then_exit",
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			sh := open(t, session{scenario: scenario, conn: "rsh", cols: 80, rows: 24})
			sh.play(5) // login, launchRexec
			shown := sh.converse(func() {})
			sh.expectEnd()
			sh.ended(0, "", shown+"Session on test/agent closed.\n")
		})
	}
}

// The C++ helper knows no message for a new size. The session has control keys and UTF-8
// too, and ends with the loss of the connection.
func TestShellDoesNotSendResizesToARecordedHelper(t *testing.T) {
	t.Parallel()
	sh := open(t, session{scenario: "b2_rsh_ctrl_keys", conn: "rsh", cols: 100, rows: 30})
	sh.play(5)
	cols := uint16(100)
	shown := sh.converse(func() {
		cols++
		sh.resize(t, cols, 40)
		// The kernel notifies only processes whose controlling terminal it is.
		if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
			t.Fatal(err)
		}
	})
	_ = sh.conn.Close()
	sh.ended(0, "session ended", shown)
}

// The recorded broker does not report that the helper was killed, and drops what is typed
// after that. The session ends with the connection, and must not end as a success.
func TestShellDoesNotSucceedIfTheRecordedHelperWasKilled(t *testing.T) {
	t.Parallel()
	sh := open(t, session{scenario: "g3_rexec_sigkill", conn: "rsh", cols: 80, rows: 24})
	sh.play(5)
	shown := sh.converse(func() {})
	_ = sh.conn.Close()
	sh.ended(0, "session ended", shown)
}

func TestShellPrintsRecordedRefusals(t *testing.T) {
	for _, tt := range []struct{ name, conn, path, err string }{
		{"no such path", "rsh", "test/nosuch", "Method: 'launchRexec' on path 'test/nosuch' doesn't exist"},
		{"nor a mount point", "rsh2", "other/nosuch", "Method: 'launchRexec' on path 'other/nosuch' doesn't exist"},
		{"no right", "rsh3", "", "Call method: 'launchRexec' on path '/' permission denied, grant: bws required: cmd"},
		{"another method's result", "call", "", "not a shvagent"},
		{"another method's error", "call2", "", "Method: 'nosuch' on path '/' doesn't exist"},
		{"login refused", "call3", "", "login refused: Invalid password. at: 127.0.0.1:33506"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sh := open(t, session{scenario: "f_rsh_no_mount", conn: tt.conn, cols: 80, rows: 24, path: tt.path})
			sh.ours = forAnotherUser
			sh.play(len(sh.events))
			sh.ended(0, tt.err, "")
		})
	}
}

// forAnotherUser allows any credentials and any method in a recorded message. The
// recorded shvrsh used several, ours uses one.
func forAnotherUser(v chainpack.Value) (chainpack.Value, bool) {
	anyText := always(chainpack.String("*"))
	meta := v.Meta()
	if !at(v, 1, "method").IsNull() {
		meta = replaced(meta, chainpack.IntKey(10), always(chainpack.String("launchRexec")))
	}
	v, _ = offered(v)
	v = edit(chainpack.IMap(v.Entries()...), anyText, 1, "login", "password")
	v = edit(v, anyText, 1, "login", "user")
	return v.WithMeta(meta...), true
}

// The C++ helper does not report the exit status of a command. That must not count as a
// success.
func TestCommandDoesNotSucceedWithoutAnExitStatus(t *testing.T) {
	t.Parallel()
	sh := openCommand(t, "")
	sh.play(3) // CreateTunnelRequest, CreateTunnelResponse, "quick"
	sh.play(1) // CloseTunnel
	sh.expectEnd()
	sh.ended(0, "exit status unknown", "quick\n")
}

// The C++ helper cannot receive the end of stdin, so a stdin with content is refused.
func TestCommandRefusesPipedStdinThatARecordedHelperCannotEnd(t *testing.T) {
	t.Parallel()
	sh := openCommand(t, "input\n")
	sh.play(1) // CreateTunnelRequest
	// shvrsh may end before it sends the CreateTunnelResponse; it must not send input.
	accepted, _ := message(sh.due().frames[0])
	for {
		got, open := sh.nextOrEnd()
		if !open {
			break
		}
		if !got.Equal(accepted) {
			t.Fatalf("sent %s", cpon.String(got))
		}
	}
	sh.ended(0, "/dev/null", "")
}

// openCommand opens the command that was recorded with a raw client. The id of that
// client's call is 41, ours is 3.
func openCommand(t *testing.T, stdin string) *shell {
	t.Helper()
	command := []string{"echo quick;", "exit 3"}
	sh := open(t, session{scenario: "h_tunnel_raw", conn: "rsh3", command: command, stdin: stdin})
	three := always(chainpack.Int(3))
	sh.theirs = func(v chainpack.Value) chainpack.Value {
		if id, _ := tag(v, 8); id.Equal(chainpack.Int(41)) {
			return v.WithMeta(replaced(v.Meta(), chainpack.IntKey(8), three)...)
		}
		return v
	}
	sh.ours = func(v chainpack.Value) (chainpack.Value, bool) {
		if login := at(v, 1, "login"); !login.IsNull() {
			// The raw client has its keys in another order.
			password, _ := login.Get("password")
			kind, _ := login.Get("type")
			user, _ := login.Get("user")
			return edit(v, func(chainpack.Value) chainpack.Value {
				return chainpack.Map(chainpack.F("password", password), chainpack.F("type", kind), chainpack.F("user", user))
			}, 1, "login").WithMeta(v.Meta()...), true
		}
		if at(v, 1, "method").IsNull() {
			return v, true
		}
		line := "echo quick; exit 3"
		return chainpack.IMap(chainpack.N(1, chainpack.Map(
			chainpack.F("method", chainpack.String("runCmd")),
			chainpack.F("params", chainpack.List(chainpack.String("/bin/sh"), chainpack.String("-c"), chainpack.String(line))),
			chainpack.F("ext", offer(tunnel.CommandWindow, tunnel.Run{Kind: tunnel.RunExec, Text: line})),
		))).WithMeta(replaced(v.Meta(), chainpack.IntKey(8), three)...), true
	}
	sh.play(5) // login, launchRexec
	return sh
}

// The recorded agent had no helper and did not answer; the recorded shvrsh waited
// forever.
func TestShellGivesUpOnASilentRecordedAgent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s")
	}
	t.Parallel()
	sh := open(t, session{scenario: "f2_rexec_missing_or_unreachable", conn: "rsh", cols: 80, rows: 24})
	sh.play(5)
	sh.expectEnd()
	sh.ended(0, "no answer within", "")
}
