package core

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// ls asks for the children of a path.
func (r *remote) ls(path string) string {
	r.t.Helper()
	r.send(`<1:1,8:90,9:"%s",10:"ls">i{}`, path)
	text, ok := strings.CutPrefix(r.text(), "<1:1,8:90>i")
	if !ok {
		r.t.Fatalf("ls %s: %s", path, text)
	}
	return text
}

// calls makes sure that a request for path arrives at a device.
func (r *remote) calls(path string, at *remote, rest string) {
	r.t.Helper()
	r.send(`<1:1,8:91,9:"%s",10:"x">i{1:7}`, path)
	at.expect(`<1:1,8:91,9:"%s",10:"x",11:%d,14:"su",17:63>i{1:7}`, rest, r.id)
	at.send(`<1:1,8:91,11:%d>i{2:8}`, r.id)
	r.expect(`<1:1,8:91>i{2:8}`)
}

func TestMountPoints(t *testing.T) {
	deep := "test" + strings.Repeat("/d", mounts.MaxDepth)
	for _, tt := range []struct {
		name, asked, mounted string
	}{
		{"plain", "test/agent", "test/agent"},
		{"unclean", "/test//agent/", "test/agent"},
		{"not allowed", "prod/agent", ""},
		{"reserved .broker", ".broker/app", ""},
		{"reserved .app", ".app", ""},
		{"reserved .local", ".local/x", ""},
		{"too deep", deep, ""},
		{"deepest", deep[:len(deep)-2], deep[:len(deep)-2]},
		{"too long", "test/" + strings.Repeat("n", mounts.MaxLength), ""},
		{"empty", "", ""},
		{"slashes", "//", ""},
	} {
		for _, user := range []string{"iot", "eve"} {
			if user == "eve" && tt.name == "not allowed" {
				continue // eve may
			}
			t.Run(tt.name+"/"+user, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := serve(t, Options{})
					agent := w.connect().login(user, password, fmt.Sprintf(`{"device":{"mountPoint":"%s"}}`, tt.asked))
					agent.fence() // connected all the same
					caller := w.client()
					if tt.mounted != "" {
						caller.calls(tt.mounted+"/a", agent, "a")
					} else if n := w.Stats().Mounts; n != 0 {
						t.Errorf("%d mounts", n)
					}
				})
			})
		}
	}
}

func TestNewestDeviceWinsAndTheOlderComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		user, first := w.client(), w.device("test/agent")
		user.calls("test/agent", first, "")
		second := w.device("test/agent")
		third := w.device("test/agent")
		user.calls("test/agent", third, "")
		_ = second.conn.Close()
		synctest.Wait()
		user.calls("test/agent", third, "")
		_ = third.conn.Close()
		synctest.Wait()
		user.calls("test/agent", first, "")
		first.fence()
	})
}

// Each that takes a mount point over keeps what the one before it may answer: a megabyte
// for each client that makes caller ids up.
func TestOneMountPointIsTakenByFew(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		user, first, second := w.client(), w.device("test/a"), w.device("test/a")
		for range mounts.MaxSessions - 2 {
			w.device("test/a")
		}
		first.fence() // as many as may stand there
		last := w.device("test/a")
		first.gone()
		second.fence()
		user.send(`<1:1,8:3,9:"test/a",10:"x">i{}`)
		if m := last.next(); m.ID() != 3 {
			t.Errorf("the newest device gets %d", m.ID())
		}
		synctest.Wait()
		n := 0
		w.mu.RLock()
		for _, s := range w.sessions {
			if s.mountPoint == "test/a" {
				n++
			}
		}
		w.mu.RUnlock()
		if n != mounts.MaxSessions || w.Stats().Ended[link.MountTaken] != 1 {
			t.Errorf("%d stand there, %d were ended", n, w.Stats().Ended[link.MountTaken])
		}
	})
}

func TestAnotherUsersMountPointIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		user, owner := w.client(), w.device("test/agent")
		thief := w.connect()
		thief.send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"%s","type":"PLAIN","user":"eve"},"options":{"device":{"mountPoint":"test/agent"}}}}`, password)
		thief.expectError(2, rpc.CodeException, "another user")
		thief.send(`<1:1,8:3,9:".app",10:"ping">i{}`)
		thief.expectError(3, rpc.CodeLoginRequired, "login")
		user.calls("test/agent", owner, "")
	})
}

func TestNestedMountsAndTheirPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		user := w.client()
		if got := user.ls(""); got != `{2:[".app",".broker"]}` {
			t.Errorf("root without devices: %s", got)
		}
		outer, inner, far := w.device("test/a"), w.device("test/a/b/c"), w.device("test/x/y")
		user.calls("test/a", outer, "")
		user.calls("test/a/b", outer, "b")
		user.calls("test/a/b/c", inner, "")
		user.calls("/test//a/b/c/d/e/", inner, "d/e")
		user.calls("test/x/y/z", far, "z")
		for path, want := range map[string]string{
			"":            `{2:[".app",".broker","test"]}`,
			"test":        `{2:["a","x"]}`,
			"/test/x/":    `{2:["y"]}`,
			".broker":     `{2:["app","client","currentClient"]}`,
			".broker/app": `{2:[]}`,
			".app":        `{2:[]}`,
		} {
			if got := user.ls(path); got != want {
				t.Errorf("ls %q: %s, want %s", path, got, want)
			}
		}
		user.send(`<1:1,8:3,9:"test",10:"dir">i{1:"ls"}`)
		user.expect(`<1:1,8:3>i{2:true}`)
		user.send(`<1:1,8:3,9:"test",10:"ls">i{1:"x"}`)
		user.expect(`<1:1,8:3>i{2:true}`)
		user.send(`<1:1,8:3,9:".broker//app/",10:"ping">i{}`)
		user.expect(`<1:1,8:3>i{2:true}`)
		user.send(`<1:1,8:3,9:".app",10:"shvVersionMajor">i{}`)
		user.expect(`<1:1,8:3>i{2:3}`)
	})
}

func TestUnknownPathsAndMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		user := w.client()
		w.device("test/a/b")
		for _, tt := range []struct{ path, method, text string }{
			{"test/nosuch", "ls", "Method: 'ls' on path 'test/nosuch' doesn't exist"},
			{"/test//nosuch/", "ls", "Method: 'ls' on path 'test/nosuch' doesn't exist"},
			{"test", "nosuch", "Method: 'nosuch' on path 'test' doesn't exist"},
			{"test/a", "nosuch", "Method: 'nosuch' on path 'test/a' doesn't exist"},
			{"", "hello", "Method: 'hello' on path '' doesn't exist"},
			{".broker/app", "nosuch", "Method: 'nosuch' on path '.broker/app' doesn't exist"},
			{".broker/app/x", "dir", "Method: 'dir' on path '.broker/app/x' doesn't exist"},
		} {
			user.send(`<1:1,8:3,9:"%s",10:"%s">i{}`, tt.path, tt.method)
			user.expectError(3, rpc.CodeMethodNotFound, tt.text)
		}
		user.send(`<1:1,8:4,9:".broker/app",10:"ping">i{5:true}`) // an abort runs nothing
		user.expectError(4, rpc.CodeRequestInvalid, "")
	})
}

func TestOfflineDeviceSaysSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		user, agent := w.client(), w.device("test/a")
		time.Sleep(time.Minute)
		_ = agent.conn.Close()
		synctest.Wait()
		since := time.Now().UTC().Format("2006-01-02T15:04:05Z")
		time.Sleep(time.Minute)
		for _, path := range []string{"test/a", "test/a/b/c"} {
			user.send(`<1:1,8:3,9:"%s",10:"x">i{}`, path)
			user.expect(`<1:1,8:3>i{3:i{1:2,2:"Method: 'x' on path '%s' doesn't exist",3:{"offlineSince":d"%s"}}}`, path, since)
		}
		// A device below it makes it a node of ours, which was hidden once.
		below := w.device("test/a/b")
		if got := user.ls("test/a"); got != `{2:["b"]}` {
			t.Errorf("ls: %s", got)
		}
		user.calls("test/a/b", below, "")
		user.send(`<1:1,8:4,9:"test/a/z",10:"x">i{}`)
		user.expectError(4, rpc.CodeMethodNotFound, "test/a/z")
		back := w.device("test/a")
		user.calls("test/a/z", back, "z")
	})
}
