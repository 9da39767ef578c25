package e2e_test

import (
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// outcome is the result of a session of a client that is not shvrsh.
type outcome struct {
	stdout, stderr string
	end            rpc.Content // of the CloseTunnel, or of the error instead of it
}

// rawSession calls launchRexec with a param and follows the tunnel to its end.
func (w *world) rawSession(param chainpack.Value) outcome {
	t := w.t
	t.Helper()
	c := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	defer c.Close()
	return w.sessionOf(c, param)
}

// logInAt logs a client in at a broker. The end of the test closes it.
func logInAt(t *testing.T, url, user, password string) *client.Client {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), client.Options{URL: u, Login: client.Login{User: user, Password: password}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// sessionOf is rawSession for a client that sends its user id.
func (w *world) sessionOf(c *client.Client, param chainpack.Value) outcome {
	t := w.t
	t.Helper()
	var o outcome // the read loop writes it until ended is closed
	ended := make(chan struct{})
	id := c.NewID()
	over := false
	c.Expect(id, func(m *rpc.Message, _ *link.Frame) {
		if !over && o.receive(c, m) {
			over = true
			close(ended)
		}
	})
	defer c.Forget(id)
	if err := c.Send(rpc.AppendIdentified(nil, id, device, "launchRexec", param)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-c.Done():
		t.Fatal(c.Err())
	case <-time.After(patience):
		t.Fatal("the session does not end")
	}
	return o
}

// receive handles a message, and reports whether it was the last one.
func (o *outcome) receive(c *client.Client, m *rpc.Message) bool {
	content, err := m.Content()
	if err != nil {
		return true
	}
	switch {
	case m.Tunnel().State == rpc.CreateTunnelRequest:
		to := rpc.Address{ID: m.Tunnel().RequestID, Callers: append(rpc.CallerIDs(nil), m.RevCallers()...)}
		accept := rpc.TunnelCtl{State: rpc.CreateTunnelResponse}
		_ = c.Send(rpc.AppendTunnel(nil, to, rpc.Meta{WantRevCallers: true, Tunnel: &accept}, 0, chainpack.Null()))
	case m.Tunnel().State == rpc.CloseTunnel || content.Error != nil:
		o.end = content
		return true
	default:
		channel, _ := content.Value.At(0).AsInt()
		text, _ := content.Value.At(1).AsString()
		if channel == 1 {
			o.stdout += text
		} else if channel == 2 {
			o.stderr += text
		}
	}
	return false
}

func text(s string) chainpack.Value { return chainpack.String(s) }

func param(method string, params chainpack.Value, ext ...chainpack.Entry) chainpack.Value {
	entries := []chainpack.Entry{chainpack.F("method", text(method)), chainpack.F("params", params)}
	if len(ext) > 0 {
		offer := append([]chainpack.Entry{chainpack.F("version", chainpack.Int(1))}, ext...)
		entries = append(entries, chainpack.F("ext", chainpack.Map(offer...)))
	}
	return chainpack.Map(entries...)
}

func TestProgramThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	window := chainpack.F("window", chainpack.Int(1<<16))
	for _, tt := range []struct {
		program string
		code    int64
	}{{"no-such-program", 127}, {"/nonexistent/program", 127}, {"/etc/passwd", 126}, {"/", 126}} {
		report := w.rawSession(param("runCmd", text(tt.program), window)).end.Value
		code, _ := report.Get("exit")
		message, _ := report.Get("message")
		if got, _ := code.AsInt(); got != tt.code {
			t.Errorf("%s: exit code %d, want %d", tt.program, got, tt.code)
		}
		if why, _ := message.AsString(); !strings.Contains(why, tt.program) {
			t.Errorf("%s: message %q", tt.program, why)
		}
		// For a client of the base protocol it is output, with and without a terminal.
		terminal := chainpack.List(text(tt.program), chainpack.Int(80), chainpack.Int(24))
		for _, p := range []chainpack.Value{param("runCmd", text(tt.program)), param("runPtyCmd", terminal)} {
			o := w.rawSession(p)
			closed := o.end.Value.IsNull() && o.end.Error == nil
			if !strings.Contains(o.stderr, tt.program) || !strings.HasSuffix(o.stderr, "\r\n") || !closed {
				t.Errorf("%s without additions: %+v", tt.program, o)
			}
		}
	}
}

func TestUnknownCallsAreAnswered(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	netconf := chainpack.F("run", chainpack.Map(chainpack.F("subsystem", text("netconf"))))
	for _, tt := range []struct {
		param chainpack.Value
		why   string
	}{
		{chainpack.Null(), "no method in the param"},
		{param("runNothing", text("x")), "runNothing"},
		{param("runCmd", chainpack.Null()), "no program"},
		{param("runPtyCmd", text("x")), "columns"},
		{param("runCmd", text("true"), netconf), "netconf"},
	} {
		end := w.rawSession(tt.param).end
		if end.Error == nil || !strings.Contains(end.Error.Message, tt.why) {
			t.Errorf("%s: answered with %+v, want an error with %q", tt.why, end, tt.why)
		}
	}
}

// A foreign client may offer any variables.
func TestOfferedEnvironmentIsCheckedOnTheDevice(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	var env []chainpack.Entry
	for _, name := range []string{
		"LANG", "GIT_PROTOCOL", "LD_PRELOAD", "BASH_ENV", "SHV_PASSWORD", "PATH", "OTHER", "LC_X=1\nEVIL",
	} {
		env = append(env, chainpack.F(name, text("offered")))
	}
	run := chainpack.F("run", chainpack.Map(chainpack.F("exec", text("env"))))
	o := w.rawSession(param("runCmd", text("env"), run, chainpack.F("env", chainpack.Map(env...))))
	got := remoteEnv(o.stdout)
	wantsEnv(t, got)
	if got["LANG"] != "offered" || got["GIT_PROTOCOL"] != "offered" || strings.Count(o.stdout, "offered") != 2 {
		t.Errorf("environment: %q", o.stdout)
	}
}
