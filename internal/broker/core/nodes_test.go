package core_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

// Clients see the addresses of others as the log has them.
func TestPeersOfClients(t *testing.T) {
	d := openDoors(t, core.Options{})
	root := d.connect("tcp").Login("root", world.Password, "{}")
	local := d.connect("unix").Login("root", world.Password, "{}")
	for at, want := range map[*world.Peer]string{
		root:  fmt.Sprintf(`"peer":"%s"`, root.Conn.LocalAddr()),
		local: fmt.Sprintf(`"peer":"uid %d"`, os.Getuid()),
	} {
		if got := at.Ask(".broker/currentClient", "info", ""); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestWhatClientsOfEitherGenerationFind(t *testing.T) {
	world.Run(t, core.Options{Version: "1.2.3"}, func(t *testing.T, w *world.World) {
		root := w.Mounted("root", "")   // 1
		w.Mounted("iot", "test/a")      // 2
		w.Mounted("root", "")           // 3
		w.Mounted("iot", "test/b/deep") // 4
		w.Mounted("iot", "test/b/deep") // 5
		root.Subscribe(`"x"`)
		info := func(id int, user, mount, wanted string) string {
			return fmt.Sprintf(`{2:{"clientId":%d,"userName":"%s","mountPoint":%s,"subscriptions":%s,`+
				`"peer":"","since":d"2000-01-01T00:00:00Z","signalsMissed":0}}`,
				id, user, mount, wanted)
		}
		for _, tt := range []struct{ path, method, param, want string }{
			{".broker", "ls", ``, `{2:["app","client","currentClient"]}`},
			{".broker", "ls", `"client"`, `{2:true}`},
			{".broker", "name", ``, `{2:"broker.local"}`},
			{".broker", "brokerId", ``, `{2:"broker.local"}`},
			{".broker", "clients", ``, `{2:[1,2,3,4,5]}`},
			{".broker", "mounts", ``, `{2:["test/a","test/b/deep"]}`},
			{".broker", "clientInfo", `1`, info(1, "root", "null", `{"x":null}`)},
			{".broker", "clientInfo", `2`, info(2, "iot", `"test/a"`, "{}")},
			{".broker", "clientInfo", `77`, `{2:null}`},
			{".broker", "mountedClientInfo", `"test/b/deep/er"`, info(5, "iot", `"test/b/deep"`, "{}")},
			{".broker", "mountedClientInfo", `"test/b"`, `{2:null}`},
			{".broker/client", "ls", ``, `{2:["1","2","3","4","5"]}`},
			{".broker/client", "ls", `"2"`, `{2:true}`},
			{".broker/client", "ls", `["2",1]`, `{2:[["2",null]]}`},
			{".broker/clients", "ls", ``, `{2:["1","2","3","4","5"]}`},
			{".broker/clients/2", "ls", ``, `{2:["app"]}`},
			{".broker/clients/2", "userName", ``, `{2:"iot"}`},
			{".broker/clients/2", "mountPoint", ``, `{2:"test/a"}`},
			{".broker/clients/3", "mountPoint", ``, `{2:""}`},
			{".broker/clients/1", "userRoles", ``, `{2:["admin"]}`},
			{".broker/clients/1", "idleTime", ``, `{2:0}`},
			{".broker/clients/1", "idleTimeMax", ``, `{2:180000}`},
			{".broker/mounts", "ls", ``, `{2:["test"]}`},
			{".broker/mounts/test", "ls", ``, `{2:["a","b"]}`},
			{".broker/mounts/test/b/deep", "ls", ``, `{2:[]}`},
			{".broker/tunnels", "ls", ``, `{2:[]}`},
			{".broker/tunnels", "list", ``, `{2:[]}`},
			{".broker/currentClient", "clientId", ``, `{2:1}`},
			{".broker/currentClient", "mountPoint", ``, `{2:""}`},
			{".broker/currentClient", "userRoles", ``, `{2:["admin"]}`},
			{".broker/currentClient", "userProfile", ``, `{2:null}`},
			{".broker/currentClient", "info", ``, info(1, "root", "null", `{"x":null}`)},
			{".broker/currentClient", "accessGrantForMethodCall", `["test/a","get"]`, `{2:"su"}`},
			{".broker/currentClient", "accessLevelForMethodCall", `["test/a","get"]`, `{2:63}`},
			{".broker/currentClient", "dir", `"subscribe"`, `{2:true}`},
			{".broker/app", "ping", ``, `{2:true}`},
			{".broker/app", "echo", `[1,{"a":2}]`, `{2:[1,{"a":2}]}`},
			{".broker/app", "appVersion", ``, `{2:"1.2.3"}`},
			{".broker/app", "brokerId", ``, `{2:"broker.local"}`},
			{".app", "shvVersionMajor", ``, `{2:3}`},
		} {
			if got := root.Ask(tt.path, tt.method, tt.param); got != tt.want {
				t.Errorf("%s:%s(%s)\ngot  %s\nwant %s", tt.path, tt.method, tt.param, got, tt.want)
			}
		}
	})
}

// All users may ask about themselves, whatever the rules say. The rest needs a right.
func TestWhoMayAskWhat(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		device := w.Device("test/a")
		for _, tt := range []struct {
			user, path, method, param string
			ok                        bool
		}{
			{"eve", ".broker/currentClient", "info", ``, true},
			{"eve", ".broker/currentClient", "subscribe", `"**"`, true},
			{"eve", ".broker/currentClient", "clientId", ``, true},
			{"eve", ".broker/currentClient", "accessLevelForMethodCall", `["",""]`, true},
			{"eve", ".broker", "ls", ``, false},
			{"eve", ".broker/app", "ping", ``, false},
			{"eve", ".broker/client", "ls", ``, false},
			{"eve", fmt.Sprintf(".broker/client/%d", device.ID), "ls", ``, false},
			{"iot", ".broker/app", "subscribe", `{}`, true},
			{"iot", ".broker", "name", ``, true},
			{"iot", ".broker", "clients", ``, false},
			{"iot", ".broker", "mounts", ``, false},
			{"iot", ".broker", "clientInfo", `1`, false},
			{"iot", ".broker", "mountedClientInfo", `"test/a"`, false},
			{"iot", ".broker", "disconnectClient", `1`, false},
			{"iot", fmt.Sprintf(".broker/clients/%d", device.ID), "dropClient", ``, false},
			{"iot", fmt.Sprintf(".broker/clients/%d", device.ID), "userName", ``, false},
			{"iot", ".broker/tunnels", "list", ``, false},
			{"iot", ".broker/tunnels", "close", `1`, false},
		} {
			got := w.Mounted(tt.user, "").Ask(tt.path, tt.method, tt.param)
			if ok := strings.HasPrefix(got, "{2:"); ok != tt.ok || !ok && !strings.Contains(got, "grant") {
				t.Errorf("%s %s:%s: %s", tt.user, tt.path, tt.method, got)
			}
		}
		device.Fence()
	})
}

func TestTreesOfClientsAreReachedByTheirIDs(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		root, plain, device := w.Mounted("root", ""), w.Client(), w.Device("test/a")
		for _, tt := range []struct {
			at   *world.Peer
			path string
			rest string
		}{
			{plain, ".broker/client/%d", ""},
			{plain, ".broker/client/%d/.app", ".app"},
			{device, "//.broker/client//%d/x/y/", "x/y"},
			{device, ".broker/clients/%d/app", ""},
			{device, ".broker/clients/%d/app/x/y", "x/y"},
			{root, ".broker/client/%d/self", "self"},
		} {
			root.Reaches(fmt.Sprintf(tt.path, tt.at.ID), tt.at, tt.rest)
		}
		plain.Close()
		synctest.Wait()
		waiting := w.Connect() // is not logged in
		waitingID := device.ID + 1
		waiting.Nonce()
		for _, path := range []string{
			fmt.Sprintf(".broker/client/%d", plain.ID), fmt.Sprintf(".broker/client/%d", waitingID),
			fmt.Sprintf(".broker/clients/%d/app", plain.ID), fmt.Sprintf(".broker/clients/%d/nosuch", device.ID),
			".broker/client/0", ".broker/client/03", ".broker/client/-1", ".broker/client/x",
			".broker/client/99999999999999999999", ".broker/client/1x", ".broker/clientele/1",
			".broker/clients/x/app", ".broker/tunnels/1",
		} {
			root.Send(`<1:1,8:5,9:"%s",10:"ls">i{}`, path)
			root.ExpectError(5, rpc.CodeMethodNotFound, path)
		}
	})
}

func TestClientsAreDisconnected(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		root, first, second := w.Mounted("root", ""), w.Device("test/a"), w.Client()
		if got := root.Ask(".broker", "disconnectClient", fmt.Sprint(first.ID)); got != "{2:null}" {
			t.Error(got)
		}
		first.Gone()
		if got := root.Ask(fmt.Sprintf(".broker/clients/%d", second.ID), "dropClient", ""); got != "{2:true}" {
			t.Error(got)
		}
		second.Gone()
		synctest.Wait()
		if got := root.Ask(".broker", "clients", ""); got != fmt.Sprintf("{2:[%d]}", root.ID) {
			t.Error(got)
		}
		root.Send(`<1:1,8:5,9:".broker",10:"disconnectClient">i{1:%d}`, first.ID)
		root.ExpectError(5, rpc.CodeInvalidParam, "no client")
	})
}

func TestTunnelsAreListedAndClosed(t *testing.T) {
	for _, tt := range []struct{ path, param, why string }{
		{".broker/tunnels", `1`, "closed by root"},
		{".broker/tunnels", `[1,"go home"]`, "closed by root: go home"},
		{".broker/tunnels/1", ``, "closed by root"},
		{".broker/tunnels/1", `"go home"`, "closed by root: go home"},
	} {
		t.Run(tt.path+tt.param, func(t *testing.T) {
			world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
				root := w.Mounted("root", "")
				p := w.NewTunnel(41, 3)
				time.Sleep(time.Minute)
				p.ToUser("out")
				p.User.Next()
				synctest.Wait()
				want := fmt.Sprintf(`{"id":1,"user":"iot","clientId":%d,"peer":"","path":"test/agent","method":"launchRexec",`+
					`"agent":{"clientId":%d,"mountPoint":"test/agent","peer":""},"helperId":%d,`+
					`"since":d"2000-01-01T00:00:00Z","bytesToDevice":12,"bytesToClient":24,"session":"`,
					p.User.ID, p.Agent.ID, p.Helper.ID)
				// The name comes from the secret, which is random.
				if got := root.Ask(".broker/tunnels", "list", ""); !strings.HasPrefix(got, "{2:["+want) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				helper := fmt.Sprintf(".broker/client/%d", p.Helper.ID) // serves its tunnel, nothing else
				root.Send(`<1:1,8:5,9:"%s",10:"ls">i{}`, helper)
				root.ExpectError(5, rpc.CodeMethodNotFound, helper)
				if got := root.Ask(".broker/tunnels/1", "info", ""); !strings.HasPrefix(got, "{2:"+want+"s-") {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if got := root.Ask(".broker/tunnels", "ls", ""); got != `{2:["1"]}` {
					t.Error(got)
				}
				if got := root.Ask(tt.path, "close", tt.param); got != "{2:null}" {
					t.Fatal(got)
				}
				for _, end := range []*world.Peer{p.User, p.Helper} {
					m := end.Next()
					content, err := m.Content()
					if err != nil || content.Error == nil || content.Error.Message != tt.why || m.Tunnel().State != rpc.CloseTunnel {
						t.Errorf("%+v, %v", content, err)
					}
				}
				p.Helper.Gone()
				p.User.Fence()
				if got := root.Ask(".broker/tunnels", "list", ""); got != "{2:[]}" {
					t.Error(got)
				}
			})
		})
	}
}

// Whatever param a client passes to a method of the broker, it gets an answer, and
// nothing else happens.
func TestHostileParams(t *testing.T) {
	params := []string{
		`null`, `true`, `0`, `-1`, `9223372036854775807`, `18446744073709551615u`, `1.5`, `""`, `"\x00\xff"`, `x"00ff"`,
		`[]`, `{}`, `i{}`, `i{1:2}`, `[null]`, `[[]]`, `[null,null]`, `["a"]`, `["a",-1]`, `["a",0]`,
		`["a",9223372036854775807]`, `["a","b"]`, `["a","b","c"]`, `[1,2]`, `[1,{}]`,
		`{"path":1}`, `{"path":[]}`, `{"path":"a:b"}`, `{"path":"a","method":{}}`, `{"source":1}`, `{"path":null}`,
		`":::"`, `"a:"`, `"[:["`, `"a\\"`, `"**:**:**"`, `d"2018-02-02T00:00:00Z"`, `<1:2>3`,
		`"` + strings.Repeat("/", 64<<10) + `"`, `"` + strings.Repeat("a/", 32<<10) + `"`,
		`"` + strings.Repeat("*", 2000) + `"`, `[` + strings.Repeat("1,", 10_000) + `1]`,
		`["` + strings.Repeat("n", 10_000) + `",1]`,
	}
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		root, device := w.Mounted("root", ""), w.Device("test/a")
		root.Subscribe(`"**:*:*"`)
		for _, path := range []string{
			"", ".app", ".broker", ".broker/app", ".broker/currentClient", ".broker/client", ".broker/clients",
			fmt.Sprintf(".broker/clients/%d", device.ID), ".broker/mounts", ".broker/tunnels",
		} {
			names := strings.Trim(root.Ask(path, "dir", `["",0]`), `{2:[]}"`)
			found := strings.Split(names, `","`)
			if len(found) < 2 {
				t.Fatalf("%s has %v", path, found)
			}
			for _, method := range found {
				if method == "dropClient" || method == "echo" {
					continue
				}
				for _, param := range params {
					if method == "disconnectClient" && param == "0" {
						continue
					}
					if got := root.Ask(path, method, param); !strings.HasPrefix(got, "{2:") && !strings.HasPrefix(got, "{3:i{1:3,") {
						t.Errorf("%s:%s(%.40s): %.200s", path, method, param, got)
					}
				}
			}
		}
		device.Fence()
		root.Fence()
		if n := w.Stats().Clients; n != 2 {
			t.Errorf("%d clients", n)
		}
	})
}

// A path consists of names only: dots and backslashes have no meaning in it.
func TestHostilePaths(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		root, device := w.Mounted("root", ""), w.Device("test/a")
		for _, path := range []string{
			"..", "test/..", ".broker/../test", "test/../test/a", ".", "test/./a", `test\\a`, "test/a\\x00",
			".broker/client/..", ".broker/client/../clients", ".broker/currentClient/..",
			strings.Repeat("../", 1000), strings.Repeat("n/", 2000),
		} {
			root.Send(`<1:1,8:5,9:"%s",10:"ls">i{}`, path)
			root.ExpectError(5, rpc.CodeMethodNotFound, "")
		}
		for _, path := range []string{"", "/", strings.Repeat("/", 64<<10)} {
			if got := root.Ask(path, "ls", ""); got != `{2:[".app",".broker","test"]}` {
				t.Errorf("%.10q: %s", path, got)
			}
		}
		slashes := strings.Repeat("/", 16<<10)
		root.Reaches(slashes+"test"+slashes+"a"+slashes+"b"+slashes, device, "b")
		device.Fence()
	})
}
