package core_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/test/world"
)

// below connects a raw peer as the parent broker of a new broker with rights that calls can change.
func below(t *testing.T, root string) (parent *world.Peer, w *world.World) {
	t.Helper()
	w = world.New(t, core.Options{Reload: func() error { return nil }, Rights: map[string]core.RightsTable{
		".broker/access/users": &tableOf{entries: map[string]string{"eva": "{}"}}}})
	ours, theirs := net.Pipe()
	parent = world.NewPeer(t, ours)
	asParent(t, w, world.NewPeer(t, theirs), root, nil)
	return parent, w
}

// Through an exported root a parent broker reaches what it needs of this one, and devices below the
// root. Nothing else, by no name, with no level, be it for itself or for somebody behind it.
func TestExportedRootHolds(t *testing.T) {
	inTree(t, func(t *testing.T) {
		parent, w := below(t, "plant")
		device, vault := w.Mounted("root", "plant/pump"), w.Mounted("root", "vault/safe")
		near := w.Mounted("root", "plantation/x")
		id := func(format string) string { return fmt.Sprintf(format, vault.ID) }
		for _, callers := range []string{"", ",11:7", ",11:[7,8]"} {
			for _, tt := range []struct{ path, method, param string }{
				{id(".broker/client/%d"), "runCmd", "1"}, {id(".broker/client/%d/x"), "get", ""},
				{fmt.Sprintf(".broker/client/%d", device.ID), "get", ""}, {id("//.broker//client/%d/"), "runCmd", ""},
				{id(".broker/clients/%d/app/x"), "get", ""}, {id(".broker/clients/%d"), "dropClient", ""},
				{id(".broker/clients/%d"), "userName", ""}, {id(".broker/client/%d"), "ls", ""},
				{id(".broker/client/%d"), "dir", ""},
				{id("'.broker'/client/%d"), "get", ""}, {id("./.broker/client/%d"), "get", ""},
				{id(".local/.broker/client/%d"), "get", ""},
				{".broker/client", "ls", ""}, {".broker/clients", "ls", ""}, {".broker", "clients", ""}, {".broker", "mounts", ""},
				{".broker", "clientInfo", id("%d")}, {".broker", "mountedClientInfo", `"vault/safe"`},
				{".broker", "disconnectClient", id("%d")}, {".broker", "brokerId", ""}, {".broker", "name", ""},
				{".broker/tunnels", "list", ""}, {".broker/tunnels", "ls", ""}, {".broker/tunnels", "close", "1"},
				{".broker/mounts", "ls", ""}, {".broker/mounts/vault", "ls", ""}, {".broker/access", "ls", ""},
				{".broker/access/users", "value", ""}, {".broker/access/users", "setValue", `["mal",{}]`},
				{".broker/access/users/eva", "deactivate", ""}, {".broker/etc/acl/users", "value", ""},
				{".broker/app", "reloadConfig", ""}, {".broker/app", "echo", "1"}, {".broker/app", "brokerId", ""},
				{".broker/currentClient", "changePassword", `["a","b"]`}, {".app/x", "ls", ""},
				{"vault/safe", "get", ""}, {"../vault/safe", "get", ""}, {"/vault/safe", "get", ""}, {".", "ls", ""},
				{"..", "ls", ""},
				{"plant/pump", "get", ""}, {"ation/x", "get", ""}, {"plantation/x", "get", ""},
			} {
				for _, level := range []int{1, 48, 63} {
					body := "i{}"
					if tt.param != "" {
						body = "i{1:" + tt.param + "}"
					}
					parent.Send(`<1:1,8:3,9:"%s",10:"%s"%s,17:%d>%s`, tt.path, tt.method, callers, level, body)
					content, err := parent.Next().Content()
					// No such path below the root, but an id all the same.
					named := level < 48 && content.Error != nil && content.Error.Code == rpc.CodeException
					if err != nil || content.Error == nil || content.Error.Code != rpc.CodeMethodNotFound && !named {
						t.Fatalf("%s:%s%s at %d: %v %v", tt.path, tt.method, callers, level, content.Value, content.Error)
					}
				}
			}
		}
		for _, r := range []*world.Peer{vault, near, device} {
			r.Fence()
		}
		// What it needs.
		for _, tt := range []struct{ path, method, param, want string }{
			{"", "ls", "", `{2:[".app",".broker","pump"]}`},
			{"", "ls", `".broker"`, `{2:true}`}, // as the Python broker asks
			{"", "ls", `"vault"`, `{2:false}`},
			{".broker", "ls", "", `{2:["app","currentClient"]}`},
			{".broker", "ls", `"client"`, `{2:false}`},
			{".app", "ping", "", `{2:null}`},
			{".app", "shvVersionMajor", "", `{2:3}`},
			{".broker/app", "ping", "", `{2:true}`},
			{".broker/currentClient", "subscribe", `"**:*:*"`, `{2:true}`},
			{".broker/currentClient", "subscriptions", "", `{2:{"**:*:*":null}}`},
			{".broker/currentClient", "unsubscribe", `"**:*:*"`, `{2:true}`},
			{".broker/app", "subscribe", `{"path":"pump"}`, `{2:true}`},
			{".broker/app", "unsubscribe", `{"path":"pump"}`, `{2:true}`},
			{".broker/app", "rejectNotSubscribed", `{"path":"pump","method":"chng"}`, `{2:false}`},
		} {
			body := "i{}"
			if tt.param != "" {
				body = "i{1:" + tt.param + "}"
			}
			parent.Send(`<1:1,8:80,9:"%s",10:"%s",17:63>%s`, tt.path, tt.method, body)
			if got := strings.TrimPrefix(parent.Text(), "<1:1,8:80>i"); got != tt.want {
				t.Errorf("%s:%s %s: %s, want %s", tt.path, tt.method, tt.param, got, tt.want)
			}
		}
		parent.Send(`<1:1,8:4,9:"pump/x",10:"get",11:7,17:8>i{}`)
		if m := device.Next(); string(m.Path()) != "x" {
			t.Errorf("path %s", m.Path())
		}
		// Signals.
		parent.Send(`<1:1,8:5,9:".broker/currentClient",10:"subscribe",17:63>i{1:"**:*:*"}`)
		parent.Expect(`<1:1,8:5>i{2:true}`)
		vault.Send(`<1:1,9:"x",10:"chng">i{1:1}`)
		near.Send(`<1:1,9:"x",10:"chng">i{1:1}`)
		other := w.Mounted("root", "vault/other") // is told to others
		for _, r := range []*world.Peer{vault, near, other} {
			r.Fence()
		}
		device.Send(`<1:1,9:"x",10:"chng">i{1:2}`)
		parent.Expect(`<1:1,9:"pump/x",10:"chng">i{1:2}`)
	})
}

// Whoever is above a broker does not change its rights, unless it says so.
func TestParentsDoNotManageUnlessTheyMay(t *testing.T) {
	inTree(t, func(t *testing.T) {
		parent, w := below(t, "")
		for _, call := range []string{`9:".broker/access/users",10:"value"`, `9:".broker/access/users",10:"ls"`,
			`9:".broker/access/users/eva",10:"deactivate"`, `9:".broker/access",10:"ls"`} {
			parent.Send(`<1:1,8:3,%s,17:63>i{}`, call)
			parent.ExpectError(3, rpc.CodeMethodNotFound, "")
		}
		parent.Send(`<1:1,8:3,9:".broker/currentClient",10:"changePassword",17:63>i{1:["a","b"]}`)
		parent.ExpectError(3, rpc.CodeMethodNotFound, "changePassword")
		if got := w.Admin().Ask(".broker/access/users", "ls", ""); got != `{2:["eva"]}` {
			t.Errorf("here: %s", got)
		}
		// By ids, for administrators, as here.
		device := w.Mounted("root", "vault/safe")
		parent.Send(`<1:1,8:4,9:".broker/client/%d",10:"get",11:7,17:40>i{}`, device.ID)
		parent.ExpectError(4, rpc.CodeException, "not granted")
		parent.Send(`<1:1,8:5,9:".broker/client/%d",10:"get",11:7,17:48>i{}`, device.ID)
		device.Next()
	})
}

// The subscriptions of a parent broker at a child are nobody else's, by whatever name somebody
// reaches the child, and with whatever level.
func TestNobodyBehindABrokerSubscribesForIt(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		device, user := tr.bottom.Device("test/a"), tr.top.Admin()
		user.Subscribe(`"m/s/test/**:*:chng"`)
		settle()
		before := wishes(tr.bottom)
		info, _, _ := strings.Cut(tr.top.Admin().Ask(".broker", "mountedClientInfo", `"m"`), ",")
		middle := strings.Trim(info, `{}2:"clientId`)
		for _, at := range []string{
			"m/", "m/s/", "m//s//", ".broker/client/" + middle + "/", ".broker/client/" + middle + "/s/",
			".broker/clients/" + middle + "/app/", ".broker/clients/" + middle + "/app/s/", "m/'.broker'/../", "m/.local/",
		} {
			for _, tt := range []struct{ path, method, param string }{
				{".broker/currentClient", "unsubscribe", `"test/**:*:chng"`}, {".broker/currentClient", "subscribe", `"**:*:*"`},
				{".broker/currentClient", "subscribe", `["**:*:*",60]`}, {".broker/app", "subscribe", `{"path":""}`},
				{".broker/app", "unsubscribe", `{"path":"test","method":"chng"}`},
				{".broker/app", "rejectNotSubscribed", `{"path":"test/a","method":"chng"}`},
				{".broker/currentClient", "changePassword", `["a","b"]`},
			} {
				user.Send(`<1:1,8:3,9:"%s%s",10:"%s">i{1:%s}`, at, tt.path, tt.method, tt.param)
				user.ExpectError(3, rpc.CodeMethodNotFound, tt.method)
			}
		}
		// Nor looks, but for administrators.
		low := tr.top.As("child", `{}`)
		for _, method := range []string{"info", "subscriptions", "clientId", "brokersAbove"} {
			low.Send(`<1:1,8:3,9:"m/.broker/currentClient",10:"%s">i{}`, method)
			low.ExpectError(3, rpc.CodeMethodNotFound, method)
		}
		if got := user.Ask("m/.broker/currentClient", "clientId", ""); !strings.HasPrefix(got, "{2:") {
			t.Errorf("an administrator: %s", got)
		}
		if got := low.Ask("m/.broker/currentClient", "ls", ""); got != `{2:[]}` {
			t.Errorf("browsing: %s", got)
		}
		settle()
		if n := wishes(tr.bottom); n != before {
			t.Errorf("%d subscriptions below, want %d", n, before)
		}
		device.Send(`<1:1,9:"x",10:"chng">i{1:1}`)
		user.Expect(`<1:1,9:"m/s/test/a/x",10:"chng">i{1:1}`)
	})
}

// A parent broker of another make may pass on what it must not.
func TestBrokerTakesSubscriptionsOfItsDirectPeerOnly(t *testing.T) {
	for _, root := range []string{"", "test"} {
		inTree(t, func(t *testing.T) {
			parent, w := below(t, root)
			parent.Send(`<1:1,8:3,9:".broker/currentClient",10:"subscribe",17:63>i{1:"a/**"}`)
			parent.Expect(`<1:1,8:3>i{2:true}`)
			for _, r := range []*world.Peer{parent, w.Admin()} {
				for _, call := range []string{
					`9:".broker/currentClient",10:"unsubscribe",17:63>i{1:"a/**"}`,
					`9:".broker/currentClient",10:"subscribe",17:63>i{1:"b"}`,
					`9:".broker/app",10:"unsubscribe",17:63>i{1:{"path":"a"}}`,
					`9:".broker/app",10:"subscribe",17:63>i{1:{"path":"b"}}`,
					`9:".broker/app",10:"rejectNotSubscribed",17:63>i{1:{"path":"a"}}`,
					`9:".broker/currentClient",10:"info",17:1>i{}`,
				} {
					r.Send(`<1:1,8:4,11:[7],%s`, call)
					r.ExpectError(4, rpc.CodeMethodNotFound, "")
				}
			}
			if n := wishes(w); n != 1 {
				t.Errorf("%d subscriptions", n)
			}
		})
	}
}

// A deny for a mount point takes one rule. Ids are for administrators, and give no more.
func TestIDsGiveNoMoreThanMountPoints(t *testing.T) {
	mounts := []shvpath.Pattern{shvpath.MustPattern("**")}
	someone := func(name string, rules ...auth.Rule) *auth.User {
		return &auth.User{Name: name, Password: auth.PlainPassword(world.Password), Rules: rules, Mounts: mounts}
	}
	forbidden := auth.MustRule("plant/secret/**:*", rpc.AccessNone)
	users := auth.NewStore(auth.NewDirectory(
		someone("op", forbidden, auth.MustRule("**:*", rpc.AccessCommand)),
		someone("boss", forbidden, auth.MustRule("plant/low/**:*", rpc.AccessRead), auth.MustRule("**:*", rpc.AccessSuper)),
		someone("root", auth.MustRule("**:*", rpc.AccessSuper))))
	world.Run(t, core.Options{Users: users}, func(t *testing.T, w *world.World) {
		vault, low, pump := w.Mounted("root", "plant/secret/vault"), w.Mounted("root", "plant/low"), w.Mounted("root", "pump")
		plain := w.Mounted("root", "")
		peers := map[string]*world.Peer{"op": w.As("op", "{}"), "boss": w.As("boss", "{}"), "root": w.As("root", "{}")}
		for _, tt := range []struct {
			at   *world.Peer
			by   string
			want map[string]rpc.Access // 0: refused
		}{
			{vault, "plant/secret/vault", map[string]rpc.Access{"root": rpc.AccessSuper}},
			{vault, "", map[string]rpc.Access{"root": rpc.AccessSuper}},
			{low, "plant/low", map[string]rpc.Access{"op": rpc.AccessCommand, "boss": rpc.AccessRead, "root": rpc.AccessSuper}},
			{low, "", map[string]rpc.Access{"boss": rpc.AccessRead, "root": rpc.AccessSuper}},
			{pump, "pump", map[string]rpc.Access{"op": rpc.AccessCommand, "boss": rpc.AccessSuper, "root": rpc.AccessSuper}},
			{pump, "", map[string]rpc.Access{"boss": rpc.AccessSuper, "root": rpc.AccessSuper}},
			{plain, "", map[string]rpc.Access{"boss": rpc.AccessSuper, "root": rpc.AccessSuper}},
		} {
			paths := []string{tt.by, tt.by + "/x", "/" + tt.by + "//x"}
			if tt.by == "" {
				paths = []string{fmt.Sprintf(".broker/client/%d", tt.at.ID), fmt.Sprintf(".broker/client/%d/x", tt.at.ID),
					fmt.Sprintf("//.broker//client/%d/x/", tt.at.ID), fmt.Sprintf(".broker/clients/%d/app/x", tt.at.ID),
					fmt.Sprintf(".broker/client/%d/.broker/app", tt.at.ID)}
			}
			for _, path := range paths {
				for name, peer := range peers {
					for _, method := range []string{"runCmd", "ls", "get"} {
						told := peer.Ask(ownNode, "accessLevelForMethodCall", fmt.Sprintf("[%q,%q]", path, method))
						if want := fmt.Sprintf("{2:%d}", tt.want[name]); told != want {
							t.Errorf("%s is told %s for %s, want %s", name, told, path, want)
						}
						peer.Send(`<1:1,8:3,9:"%s",10:"%s">i{}`, path, method)
						if tt.want[name] == rpc.AccessNone {
							peer.ExpectError(3, rpc.CodeException, "not granted")
						} else if m := tt.at.Next(); m.Access() != tt.want[name] {
							t.Errorf("%s calls %s with %s, want %s", name, path, m.Access(), tt.want[name])
						}
					}
				}
			}
		}
		// Nor are they listed to others.
		for _, path := range []string{
			".broker/client", ".broker/clients", ".broker/mounts", ".broker/mounts/plant", ".broker/tunnels",
		} {
			if got := peers["op"].Ask(path, "ls", ""); !strings.Contains(got, "i{1:8,") {
				t.Errorf("%s: %s", path, got)
			}
			if got := peers["boss"].Ask(path, "ls", ""); !strings.HasPrefix(got, "{2:") {
				t.Errorf("%s: %s", path, got)
			}
		}
		for _, r := range []*world.Peer{vault, low, pump, plain} {
			r.Fence()
		}
	})
}

// What gives the mount point of a client below a child may be anywhere below the child.
func TestIDsBelowAChildGiveNoMoreThanAnyPlaceThere(t *testing.T) {
	mounts := []shvpath.Pattern{shvpath.MustPattern("**")}
	boss := &auth.User{Name: "boss", Password: auth.PlainPassword(world.Password), Mounts: mounts, Rules: []auth.Rule{
		auth.MustRule("m/plant/secret/**:*", rpc.AccessNone), auth.MustRule("**:*", rpc.AccessSuper)}}
	root := &auth.User{Name: "root", Password: auth.PlainPassword(world.Password), Mounts: mounts, Rules: []auth.Rule{
		auth.MustRule("**:*", rpc.AccessSuper)}}
	child := &auth.User{Name: "child", Password: auth.PlainPassword(world.Password), Mounts: mounts,
		Roles: []string{"broker"}}
	inTree(t, func(t *testing.T) {
		top := world.New(t, core.Options{Users: auth.NewStore(auth.NewDirectory(boss, root, child))})
		w := world.New(t, core.Options{})
		under(t, w, top, "m", "")
		vault := w.Mounted("root", "plant/secret/vault")
		denied, admin := top.As("boss", "{}"), top.As("root", "{}")
		for _, path := range []string{
			"m/.broker/client/%d", "m/.broker/client/%d/x", "m/.broker/clients/%d/app", "m/'.broker'/client/%d",
		} {
			path = fmt.Sprintf(path, vault.ID)
			denied.Send(`<1:1,8:3,9:"%s",10:"runCmd">i{}`, path)
			denied.ExpectError(3, rpc.CodeException, "not granted")
		}
		admin.Send(`<1:1,8:3,9:"m/.broker/client/%d/x",10:"runCmd">i{}`, vault.ID)
		vault.Next()
		vault.Fence()
	})
}

// A session that was opened by an id lives by the right to the mount point.
func TestSessionsByIDEndWithTheRightToTheMountPoint(t *testing.T) {
	change := func(a *auth.Access) {
		role(a, "operators", func(r *auth.RoleEntry) {
			r.Rules = append([]auth.Rule{auth.MustRule(".broker/**:*", rpc.AccessSuper)}, r.Rules...)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		o := tunnelling
		o.Users = auth.NewStore(changed(t, change))
		w := world.New(t, o)
		eva, agent := w.As("eva", "{}"), w.Device("test/agent")
		eva.Send(`<1:1,8:41,9:".broker/client/%d",10:"launchRexec">i{}`, agent.ID)
		agent.Next()
		p := &world.Tunnel{User: eva, Agent: agent, Call: 41, Read: 3}
		p.Helper = w.Redeem(agent.Secret(eva.ID, 41))
		p.Helper.Send(`<1:1,8:41,11:%d,13:null,15:<1:3>i{1:3,5:3,6:%d}>i{}`, eva.ID, eva.ID)
		eva.Next()
		eva.Send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:4}>i{}`, p.Helper.ID)
		p.Helper.Next()
		w.Apply(changed(t, func(a *auth.Access) {
			change(a)
			role(a, "operators", func(r *auth.RoleEntry) {
				r.Rules = append([]auth.Rule{auth.MustRule("test/**:*", rpc.AccessRead)}, r.Rules...)
			})
		}))
		eva.Expect(`<1:1,8:41,15:<1:3>i{1:5}>i{3:i{1:8,2:%q}}`,
			`the right to call launchRexec on "test/agent" was taken away`)
		p.Helper.Gone()
	})
}

// A device judges the same user wherever in a tree it is, and is told each broker on the way,
// also where an old broker is among them.
func TestChainOfUsersNamesEachBroker(t *testing.T) {
	inTree(t, func(t *testing.T) {
		top, w := world.New(t, core.Options{Name: "top"}), world.New(t, core.Options{Name: "plant"})
		under(t, w, top, "m", "")
		device, near := w.Device("test/a"), top.Device("test/a")
		user, local := top.Admin(), w.Client()
		ours, theirs := net.Pipe()
		old := world.NewPeer(t, ours)
		asParent(t, w, world.NewPeer(t, theirs), "", nil)
		for _, tt := range []struct {
			from, at         *world.Peer
			path, sent, want string
			names            string
		}{
			{user, near, "test/a", "", "root:top", "root"},
			{user, device, "m/test/a", "", "root:top;root:plant", "root"},
			{user, device, "m/test/a", "x", "x;root:top;root:plant", "root"},
			{local, device, "test/a", "root:top", "root:top;iot:plant", "iot"},
			{old, device, "test/a", "john", "john;john:plant", "john"},           // of the last release
			{old, device, "test/a", "john:hq", "john:hq;john:plant", "john"},     // of this one
			{old, device, "test/a", "x;john:hq", "x;john:hq;john:plant", "john"}, // and of others
		} {
			tt.from.Send(`<1:1,8:3,9:"%s",10:"get",16:"%s",17:8>i{}`, tt.path, tt.sent)
			v, err := tt.at.Next().MetaValue(rpc.TagUserID)
			if text, _ := v.AsString(); err != nil || text != tt.want || rpc.UserOf(v) != tt.names {
				t.Errorf("%q at %s becomes %q, want %q", tt.sent, tt.path, text, tt.want)
			}
		}
	})
}

// A web client logs out: its token is denied from then on.
func TestTokensAreRevoked(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		asking := w.Connect()
		asking.SendLogin(2, "SHA1", "iot", login.Hash(asking.Nonce(), world.Password), `{"session":true}`)
		content, err := asking.Next().Content()
		token, _ := content.Value.AsString()
		if err != nil || token == "" {
			t.Fatalf("no token: %v, %v", content, err)
		}
		again := w.Connect()
		again.Send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"%s"},"options":{"session":true}}}`, token)
		again.Expect(`<1:1,8:2>i{2:"%s"}`, token)
		out := w.Connect()
		for _, param := range []string{`{}`, `{1:1}`, `{1:null}`, `{5:true}`} {
			out.Send(`<1:1,8:1,10:"revokeToken">i%s`, param)
			out.ExpectError(1, rpc.CodeInvalidParam, "a token")
		}
		out.Send(`<1:1,8:1,10:"revokeToken">i{1:"session-token:other"}`)
		out.Expect(`<1:1,8:1>i{2:false}`)
		out.Send(`<1:1,8:1,10:"revokeToken">i{1:"%s"}`, token)
		out.Expect(`<1:1,8:1>i{2:true}`)
		out.Send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"%s"}}}`, token)
		out.ExpectError(2, rpc.CodeException, "Invalid authentication")
		again.Fence() // as the standard has it: no further logins
	})
}
