package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

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
					w := world.New(t, core.Options{})
					agent := w.As(user, fmt.Sprintf(`{"device":{"mountPoint":"%s"}}`, tt.asked))
					agent.Fence() // connected all the same
					caller := w.Client()
					if tt.mounted != "" {
						caller.Reaches(tt.mounted+"/a", agent, "a")
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
		w := world.New(t, core.Options{})
		user, first := w.Client(), w.Device("test/agent")
		user.Reaches("test/agent", first, "")
		second := w.Device("test/agent")
		third := w.Device("test/agent")
		user.Reaches("test/agent", third, "")
		second.Close()
		synctest.Wait()
		user.Reaches("test/agent", third, "")
		third.Close()
		synctest.Wait()
		user.Reaches("test/agent", first, "")
		first.Fence()
	})
}

// Each session that takes a mount point over inherits reply routes: up to a megabyte for
// each client that makes caller ids up.
func TestOneMountPointIsTakenByFew(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user, first, second := w.Client(), w.Device("test/a"), w.Device("test/a")
		for range mounts.MaxSessions - 2 {
			w.Device("test/a")
		}
		first.Fence() // as many as may stand there
		last := w.Device("test/a")
		first.Gone()
		second.Fence()
		user.Send(`<1:1,8:3,9:"test/a",10:"x">i{}`)
		if m := last.Next(); m.ID() != 3 {
			t.Errorf("the newest device gets %d", m.ID())
		}
		synctest.Wait()
		if s := w.Stats(); s.Clients != 1+mounts.MaxSessions || s.Ended[link.MountTaken] != 1 {
			t.Errorf("%d clients and devices, %d were ended", s.Clients, s.Ended[link.MountTaken])
		}
	})
}

func TestAnotherUsersMountPointIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, owner := w.Client(), w.Device("test/agent")
		thief := w.Connect()
		thief.SendLogin(2, "PLAIN", "eve", world.Password, `{"device":{"mountPoint":"test/agent"}}`)
		thief.ExpectError(2, rpc.CodeException, "another user")
		thief.Send(`<1:1,8:3,9:".app",10:"ping">i{}`)
		thief.ExpectError(3, rpc.CodeLoginRequired, "login")
		user.Reaches("test/agent", owner, "")
	})
}

func TestNestedMountsAndTheirPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.Client()
		if got := user.Ls(""); got != `{2:[".app",".broker"]}` {
			t.Errorf("root without devices: %s", got)
		}
		outer, inner, far := w.Device("test/a"), w.Device("test/a/b/c"), w.Device("test/x/y")
		user.Reaches("test/a", outer, "")
		user.Reaches("test/a/b", outer, "b")
		user.Reaches("test/a/b/c", inner, "")
		user.Reaches("/test//a/b/c/d/e/", inner, "d/e")
		user.Reaches("test/x/y/z", far, "z")
		for path, want := range map[string]string{
			"":            `{2:[".app",".broker","test"]}`,
			"test":        `{2:["a","x"]}`,
			"/test/x/":    `{2:["y"]}`,
			".broker":     `{2:["app","client","currentClient"]}`,
			".broker/app": `{2:[]}`,
			".app":        `{2:[]}`,
		} {
			if got := user.Ls(path); got != want {
				t.Errorf("ls %q: %s, want %s", path, got, want)
			}
		}
		user.Send(`<1:1,8:3,9:"test",10:"dir">i{1:"ls"}`)
		user.Expect(`<1:1,8:3>i{2:true}`)
		user.Send(`<1:1,8:3,9:"test",10:"ls">i{1:"x"}`)
		user.Expect(`<1:1,8:3>i{2:true}`)
		user.Send(`<1:1,8:3,9:".broker//app/",10:"ping">i{}`)
		user.Expect(`<1:1,8:3>i{2:true}`)
		user.Send(`<1:1,8:3,9:".app",10:"shvVersionMajor">i{}`)
		user.Expect(`<1:1,8:3>i{2:3}`)
	})
}

func TestUnknownPathsAndMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.Client()
		w.Device("test/a/b")
		for _, tt := range []struct{ path, method, text string }{
			{"test/nosuch", "ls", "Method: 'ls' on path 'test/nosuch' doesn't exist"},
			{"/test//nosuch/", "ls", "Method: 'ls' on path 'test/nosuch' doesn't exist"},
			{"test", "nosuch", "Method: 'nosuch' on path 'test' doesn't exist"},
			{"test/a", "nosuch", "Method: 'nosuch' on path 'test/a' doesn't exist"},
			{"", "hello", "Method: 'hello' on path '' doesn't exist"},
			{".broker/app", "nosuch", "Method: 'nosuch' on path '.broker/app' doesn't exist"},
			{".broker/app/x", "dir", "Method: 'dir' on path '.broker/app/x' doesn't exist"},
		} {
			user.Send(`<1:1,8:3,9:"%s",10:"%s">i{}`, tt.path, tt.method)
			user.ExpectError(3, rpc.CodeMethodNotFound, tt.text)
		}
		user.Send(`<1:1,8:4,9:".broker/app",10:"ping">i{5:true}`) // an abort runs nothing
		user.ExpectError(4, rpc.CodeRequestInvalid, "")
	})
}

func TestOfflineDeviceSaysSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, agent := w.Client(), w.Device("test/a")
		time.Sleep(time.Minute)
		agent.Close()
		synctest.Wait()
		since := time.Now().UTC().Format("2006-01-02T15:04:05Z")
		time.Sleep(time.Minute)
		for _, path := range []string{"test/a", "test/a/b/c"} {
			user.Send(`<1:1,8:3,9:"%s",10:"x">i{}`, path)
			user.Expect(`<1:1,8:3>i{3:i{1:2,2:"Method: 'x' on path '%s' doesn't exist",3:{"offlineSince":d"%s"}}}`, path, since)
		}
		// A device below it makes it a node of ours, which was hidden once.
		below := w.Device("test/a/b")
		if got := user.Ls("test/a"); got != `{2:["b"]}` {
			t.Errorf("ls: %s", got)
		}
		user.Reaches("test/a/b", below, "")
		user.Send(`<1:1,8:4,9:"test/a/z",10:"x">i{}`)
		user.ExpectError(4, rpc.CodeMethodNotFound, "test/a/z")
		back := w.Device("test/a")
		user.Reaches("test/a/z", back, "z")
	})
}
