package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

func TestFailuresAreOneLine(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.finish(w.shvrsh("test/nosuch", "true")).wantsFailure(t, "test/nosuch: no such device")
	w.finish(w.shvrsh("test", "true")).wantsFailure(t, "test: no such device")
	w.finish(w.shvrsh(".app", "true")).wantsFailure(t, ".app: ")

	cmd := w.rshCommand("true")
	cmd.Env = append(cmd.Env, "SHV_USER=iot", "SHV_PASSWORD=not-this-one")
	r := w.finish(cmd)
	r.wantsFailure(t, "login refused")
	if strings.Contains(string(r.stderr), "not-this-one") {
		t.Error("the password is in the error")
	}

	w.agent.Stop(t)
	w.broker.says(t, "client gone", "mount="+device)
	w.rsh("true").wantsFailure(t, device, "offline since")
	w.broker.Stop(t)
	w.rsh("true").wantsFailure(t, "cannot connect to "+w.url, "connection refused")
}

// serveUsers runs a broker with these users, and returns its URL. A device may log in as
// device, with the password d.
func serveUsers(t *testing.T, users ...*auth.User) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mounts := []shvpath.Pattern{shvpath.MustPattern("test/**")}
	users = append(users, &auth.User{
		Name: "device", Password: auth.PlainPassword("d"), Mounts: mounts,
		Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessBrowse)},
	})
	b := core.New(core.Options{Users: auth.NewStore(auth.NewDirectory(users...))})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = b.Serve(l)
	}()
	t.Cleanup(func() {
		b.Close()
		<-served
	})
	return "tcp://" + l.Addr().String()
}

func TestMissingRightIsReported(t *testing.T) {
	t.Parallel()
	url := serveUsers(t, &auth.User{
		Name: "reader", Password: auth.PlainPassword("r"),
		Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessRead)},
	})
	w := setup{
		url:          url,
		agentOptions: []string{"--user", "device"},
		agentEnv:     []string{"SHV_PASSWORD=d"},
	}.start(t)
	cmd := w.rshCommand("true")
	cmd.Env = append(cmd.Env, "SHV_USER=reader", "SHV_PASSWORD=r")
	w.finish(cmd).wantsFailure(t, device, "cmd")
}

func TestHelperThatCannotServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const began = "cannot start a session on the device: shvrexec failed"
	// Replaces the broker's port, key 3, by port 1. The script must not outlive its
	// shvrexec.
	unreachable := fmt.Sprintf(`sed -u 's/,3:[0-9]*/,3:1/' | { '%s'; kill $$; }`, program("shvrexec"))
	for _, tt := range []struct{ name, helper, why string }{
		{"missing", "/nonexistent/shvrexec", "no such file"},
		{"not executable", script("plain", "exit 0", 0o644), "permission denied"},
		{"fails", script("fails", "exit 3", 0o755), began},
		{"killed", script("killed", "kill -KILL $$", 0o755), began},
		{"cannot reach the broker", script("unreachable", unreachable, 0o755), began},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := setup{helper: tt.helper}.start(t)
			early := tt.why != began // an agent that is installed wrong must say so at its start
			const warning = "shvrexec cannot be run"
			if early {
				w.agent.says(t, warning, tt.why)
			} else if log := w.agent.log.String(); strings.Contains(log, warning) {
				t.Errorf("the agent says at its start:\n%s", log)
			}
			w.rsh("true").wantsFailure(t, device, tt.why)
		})
	}
	t.Run("hangs", func(t *testing.T) {
		if !long {
			t.Skip("takes 10 s; SHV_LONG=1 runs it")
		}
		w := setup{helper: script("hangs", "exec cat >/dev/null", 0o755)}.start(t)
		w.rsh("true").wantsFailure(t, device, "did not connect in time")
	})
}
