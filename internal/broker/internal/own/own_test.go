package own_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/internal/own"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

var since = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// client is a client that remembers what it was told.
type client struct {
	id       int64
	info     own.Info
	wants    map[string]time.Duration // its subscriptions
	listed   int                      // how often they were asked for
	treeless bool
	password string
	calls    []string // what changed it
}

func (c *client) note(format string, args ...any) {
	c.calls = append(c.calls, fmt.Sprintf(format, args...))
}

func (c *client) ID() int64                              { return c.id }
func (c *client) Name() string                           { return cmp.Or(c.info.User, "tunnel of client 1") }
func (c *client) HasTree() bool                          { return !c.treeless }
func (c *client) Info() own.Info                         { return c.info }
func (c *client) Silence() (silent, limit time.Duration) { return 1500 * time.Millisecond, time.Minute }
func (c *client) Disconnect(by string)                   { c.note("disconnected by %s", by) }

func (c *client) Subscriptions() map[string]time.Duration {
	c.listed++
	return c.wants
}

func (c *client) Level(path, method []byte) rpc.Access {
	if string(path) == "test/a" && string(method) == "get" {
		return rpc.AccessRead
	}
	return rpc.AccessNone
}

func (c *client) Subscribe(ri shvpath.RI, ttl time.Duration) (added bool, err error) {
	c.note("subscribe %s %v", ri, ttl)
	return len(c.calls) == 1, nil
}

func (c *client) Unsubscribe(ri shvpath.RI) (removed bool, err error) {
	c.note("unsubscribe %s", ri)
	return true, nil
}

func (c *client) Reject(path, source, signal string) (removed bool, err error) {
	c.note("reject %s:%s:%s", path, source, signal)
	return true, nil
}

func (c *client) CheckPassword(text string) error {
	if text != c.password {
		return errors.New("wrong")
	}
	return nil
}

func (c *client) RenewPassword(text string) (stored chainpack.Value, undo func()) {
	before := c.password
	c.password = text
	return chainpack.String("hash of " + text), func() { c.password = before }
}

// broker is a broker with clients and tunnels. Changes happen at once.
type broker struct {
	clients map[int64]*client
	tunnels []own.Tunnel
	closed  []string
	names   []string
}

func (b *broker) Client(id int64) (own.Client, bool) {
	c, ok := b.clients[id]
	return c, ok
}

func (b *broker) Clients() (all []own.Client) {
	for _, id := range slices.Sorted(maps.Keys(b.clients)) {
		all = append(all, b.clients[id])
	}
	return all
}

func (b *broker) DeviceAt(path []byte) (own.Client, bool) {
	for _, c := range b.clients {
		if c.info.MountPoint != "" && string(path) == c.info.MountPoint {
			return c, true
		}
	}
	return nil, false
}

func (b *broker) MountsBelow(path string) ([]string, bool) {
	switch path {
	case "":
		return []string{"test"}, true
	case "test":
		return []string{"a"}, true
	}
	return nil, path == "test/a"
}

func (b *broker) Tunnels() []own.Tunnel { return b.tunnels }

func (b *broker) Tunnel(number int64) (own.Tunnel, bool) {
	for _, t := range b.tunnels {
		if t.Number == number {
			return t, true
		}
	}
	return own.Tunnel{}, false
}

func (b *broker) CloseTunnel(number int64, by own.Client, reason string) {
	b.closed = append(b.closed, fmt.Sprintf("%d by %s: %s", number, by.Name(), reason))
}

func (b *broker) AnswerBrokersAbove(*node.Request) error { return node.ErrLater }

func (b *broker) Later(_ *node.Request, change func() (string, error), names ...string) error {
	b.names = names
	_, err := change()
	return err
}

func (b *broker) LaterForUser(r *node.Request, change func() (string, error), names ...string) error {
	return b.Later(r, change, names...)
}

// table is a part of the rights.
type table struct {
	entries map[string]chainpack.Value
	fails   bool
}

func (t *table) Names() []string { return slices.Sorted(maps.Keys(t.entries)) }

func (t *table) Value(name string) (chainpack.Value, bool) {
	v, ok := t.entries[name]
	return v, ok
}

func (t *table) Set(name string, v chainpack.Value) (what string, err error) {
	if t.fails {
		return "", errors.New("the disk is full")
	}
	if t.entries[name] = v; v.IsNull() {
		delete(t.entries, name)
	}
	return name + " set", nil
}

func (t *table) Update(name string, fields chainpack.Value) (what string, err error) {
	entry, ok := t.entries[name]
	if !ok {
		return "", errors.New("there is no such entry")
	}
	entries := fields.Entries()
	for _, e := range entry.Entries() {
		if _, given := fields.Get(e.Key.Str()); !given {
			entries = append(entries, e)
		}
	}
	return t.Set(name, chainpack.Map(entries...))
}

// world is a broker's tree and who asks it.
type world struct {
	t      *testing.T
	broker *broker
	tree   *node.Tree
	caller *client
	level  rpc.Access
}

func newWorld(t *testing.T, o own.Options) *world {
	t.Helper()
	caller := &client{id: 1, password: "old", info: own.Info{
		User: "ann", Roles: []string{"r", "s"}, Peer: "10.0.0.1:5", Since: since, SignalsMissed: 3,
	}, wants: map[string]time.Duration{"b": -1, "a:get": 1500 * time.Millisecond}}
	device := &client{id: 12, info: own.Info{User: "iot", MountPoint: "test/a", Since: since}}
	helper := &client{id: 3, treeless: true, info: own.Info{Since: since}}
	b := &broker{clients: map[int64]*client{1: caller, 12: device, 3: helper}, tunnels: []own.Tunnel{{
		Number: 4, User: "ann", ClientID: 1, AgentID: 12, HelperID: 3,
		ClientPeer: "c", AgentPeer: "d", AgentMountPoint: "test/a",
		Path: "test/a/.rexec", Method: "launchRexec", Session: "s-1", Since: since, BytesToDevice: 5, BytesToClient: 6,
	}}}
	o.Name, o.Version, o.Commit = "name", "1.2", "abc"
	return &world{t, b, own.New(b, o), caller, rpc.AccessSuper}
}

// ask calls a method, "" for no param, and returns the body of the answer; "" for none.
func (w *world) ask(path, method, param string) string {
	w.t.Helper()
	value := chainpack.Value{}
	if param != "" {
		value = mustValue(w.t, param)
	}
	var m rpc.Message
	if err := m.Parse(rpc.AppendRequest(nil, 1, path, method, value)); err != nil {
		w.t.Fatal(err)
	}
	answer := node.Answer(w.tree, &m, w.level, w.caller)
	if answer == nil {
		return ""
	}
	if err := m.Parse(answer); err != nil {
		w.t.Fatal(err)
	}
	v, _, err := chainpack.Decode(m.Body(), chainpack.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimPrefix(cpon.String(v), "i")
}

// answers wants an answer, or for one that ends with … its beginning.
func (w *world) answers(path, method, param, want string) {
	w.t.Helper()
	got := w.ask(path, method, param)
	if part, cut := strings.CutSuffix(want, "…"); cut && strings.HasPrefix(got, part) {
		return
	}
	if got != want {
		w.t.Errorf("%s:%s %s\ngot  %s\nwant %s", path, method, param, got, want)
	}
}

// refuses wants an error with a part of its text.
func (w *world) refuses(path, method, param string, code rpc.Code, part string) {
	w.t.Helper()
	got := w.ask(path, method, param)
	if !strings.HasPrefix(got, fmt.Sprintf("{3:i{1:%d,", code)) || !strings.Contains(got, part) {
		w.t.Errorf("%s:%s %s\ngot  %s\nwant error %d, %s", path, method, param, got, code, part)
	}
}

func mustValue(t *testing.T, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBrokerDescribesItselfAndItsClients(t *testing.T) {
	w := newWorld(t, own.Options{})
	const (
		ann = `{2:{"clientId":1,"userName":"ann","mountPoint":null,"subscriptions":{"a:get":2,"b":null},` +
			`"peer":"10.0.0.1:5","since":d"2026-01-02T03:04:05Z","signalsMissed":3}}`
		iot = `{2:{"clientId":12,"userName":"iot","mountPoint":"test/a","subscriptions":{},` +
			`"peer":"","since":d"2026-01-02T03:04:05Z","signalsMissed":0}}`
	)
	for _, tt := range [][4]string{
		{".app", "name", "", `{2:"shvbroker"}`},
		{".app", "version", "", `{2:"1.2"}`},
		{".broker", "name", "", `{2:"name"}`},
		{".broker", "clients", "", `{2:[1,3,12]}`},
		{".broker", "mounts", "", `{2:["test/a"]}`},
		{".broker", "clientInfo", "1", ann},
		{".broker", "clientInfo", "12", iot},
		{".broker", "clientInfo", "7", `{2:null}`},
		{".broker", "mountedClientInfo", `"/test//a"`, iot},
		{".broker", "mountedClientInfo", `"test"`, `{2:null}`},
		{".broker/currentClient", "info", "", ann},
		{".broker/currentClient", "clientId", "", `{2:1}`},
		{".broker/currentClient", "mountPoint", "", `{2:""}`},
		{".broker/currentClient", "userRoles", "", `{2:["r","s"]}`},
		{".broker/currentClient", "subscriptions", "", `{2:{"a:get":2,"b":null}}`},
		{".broker/currentClient", "accessGrantForMethodCall", `["/test/a","get"]`, `{2:"rd"}`},
		{".broker/currentClient", "accessLevelForMethodCall", `["test/b","get"]`, `{2:0}`},
		{".broker/currentClient", "brokersAbove", `[]`, ""},
		{".broker/app", "ping", "", `{2:true}`},
		{".broker/app", "echo", `[1,"x"]`, `{2:[1,"x"]}`},
		{".broker/app", "gitCommit", "", `{2:"abc"}`},
		{".broker/clients/12", "mountPoint", "", `{2:"test/a"}`},
		{".broker/clients/1", "userRoles", "", `{2:["r","s"]}`},
		{".broker/clients/1", "idleTime", "", `{2:1500}`},
		{".broker/clients/1", "idleTimeMax", "", `{2:60000}`},
		{"", "ls", "", `{2:[".app",".broker","test"]}`},
		{".broker", "ls", "", `{2:["app","client","currentClient"]}`}, // the rest is hidden
		{".broker/client", "ls", "", `{2:["1","12"]}`},
		{".broker/clients", "ls", "", `{2:["1","12","3"]}`},
		{".broker/clients/1", "ls", "", `{2:["app"]}`},
		{".broker/clients/3", "ls", "", `{2:[]}`},
		{".broker/mounts/test", "ls", "", `{2:["a"]}`},
		{".broker/tunnels", "ls", "", `{2:["4"]}`},
		{".broker/client/12", "ls", "", "{2:…"},
	} {
		w.answers(tt[0], tt[1], tt[2], tt[3])
	}
	for _, path := range []string{
		".broker/clients/3/app", ".broker/client/3", ".broker/client/7", ".broker/clients/1/else", ".broker/tunnels/5",
	} {
		w.refuses(path, "ls", "", rpc.CodeMethodNotFound, "doesn't exist")
	}
	for _, tt := range [][3]string{
		{".broker", "clientInfo", `"1"`}, {".broker", "mountedClientInfo", "1"}, {".broker", "disconnectClient", "null"},
		{".broker", "disconnectClient", "7"}, {".broker/currentClient", "accessGrantForMethodCall", `["a"]`},
		{".broker/currentClient", "accessLevelForMethodCall", `["a",1]`}, {".broker/currentClient", "subscribe", "7"},
		{".broker/currentClient", "unsubscribe", "[]"}, {".broker/app", "rejectNotSubscribed", `{"method":7}`},
		{".broker/tunnels", "close", `"4"`}, {".broker/tunnels", "close", "5"}, {".broker/tunnels", "close", "[4,5]"},
		{".broker/tunnels/4", "close", "5"}, {".broker/tunnels", "close", fmt.Sprintf(`[4,"%0257d"]`, 0)},
	} {
		w.refuses(tt[0], tt[1], tt[2], rpc.CodeInvalidParam, "")
	}
	if len(w.caller.calls)+len(w.broker.closed) > 0 {
		t.Errorf("changed by what was refused: %q, %q", w.caller.calls, w.broker.closed)
	}
}

// Subscriptions are thousands of each client: only who asks for them pays for them.
func TestOnlySubscriptionsCostWhatTheyAre(t *testing.T) {
	w := newWorld(t, own.Options{})
	for _, tt := range [][2]string{
		{".broker", "mounts"}, {".broker", "clients"}, {".broker/client", "ls"}, {".broker/clients", "ls"},
		{".broker/currentClient", "mountPoint"}, {".broker/currentClient", "userRoles"},
		{".broker/clients/1", "userName"}, {".broker/clients/1", "userRoles"}, {".broker/clients/1", "mountPoint"},
	} {
		w.answers(tt[0], tt[1], "", "{2:…")
		for id, c := range w.broker.clients {
			if c.listed > 0 {
				t.Errorf("%s:%s asks for the subscriptions of client %d", tt[0], tt[1], id)
			}
			c.listed = 0
		}
	}
	w.answers(".broker/currentClient", "subscriptions", "", `{2:{"a:get":2,"b":null}}`)
	if w.caller.listed != 1 {
		t.Errorf("its own subscriptions are asked for %d times", w.caller.listed)
	}
}

func TestCallsReachTheirClient(t *testing.T) {
	w := newWorld(t, own.Options{})
	for _, tt := range [][4]string{
		{".broker/currentClient", "subscribe", `"a"`, `{2:true}`},
		{".broker/currentClient", "subscribe", `["a",5]`, `{2:false}`},
		{".broker/app", "subscribe", `{"path":"a"}`, `{2:true}`},
		{".broker/currentClient", "unsubscribe", `"a"`, `{2:true}`},
		{".broker/app", "unsubscribe", `{"path":"a"}`, `{2:true}`},
		{".broker/app", "rejectNotSubscribed", `{"path":"a","method":"m"}`, `{2:true}`},
		{".broker/app", "rejectNotSubscribed", `{"path":"a","method":"m","source":"s"}`, `{2:true}`},
	} {
		w.answers(tt[0], tt[1], tt[2], tt[3])
	}
	want := []string{
		"subscribe a 0s", "subscribe a 5s", "subscribe a/**:*:* 0s", "unsubscribe a", "unsubscribe a/**:*:*",
		"reject a::m", "reject a:s:m",
	}
	if !slices.Equal(w.caller.calls, want) {
		t.Errorf("%q, want %q", w.caller.calls, want)
	}
	w.answers(".broker", "disconnectClient", "12", `{2:null}`)
	w.answers(".broker/clients/12", "dropClient", "", `{2:true}`)
	if got := w.broker.clients[12].calls; !slices.Equal(got, []string{"disconnected by ann", "disconnected by ann"}) {
		t.Errorf("%q", got)
	}
}

func TestTunnels(t *testing.T) {
	w := newWorld(t, own.Options{})
	const info = `{"id":4,"user":"ann","clientId":1,"peer":"c","path":"test/a/.rexec","method":"launchRexec",` +
		`"agent":{"clientId":12,"mountPoint":"test/a","peer":"d"},"helperId":3,"since":d"2026-01-02T03:04:05Z",` +
		`"bytesToDevice":5,"bytesToClient":6,"session":"s-1"}`
	w.answers(".broker/tunnels", "list", "", "{2:["+info+"]}")
	w.answers(".broker/tunnels/4", "info", "", "{2:"+info+"}")
	w.answers(".broker/tunnels", "close", "4", `{2:null}`)
	w.answers(".broker/tunnels", "close", `[4,"why"]`, `{2:null}`)
	w.answers(".broker/tunnels/4", "close", "", `{2:null}`)
	w.answers(".broker/tunnels/4", "close", `"so"`, `{2:null}`)
	want := []string{"4 by ann: ", "4 by ann: why", "4 by ann: ", "4 by ann: so"}
	if !slices.Equal(w.broker.closed, want) {
		t.Errorf("%q, want %q", w.broker.closed, want)
	}
}

// What each level may do is fixed: nobody below it gets an answer.
func TestMethodsHaveTheirLevels(t *testing.T) {
	users := &table{entries: map[string]chainpack.Value{"ann": chainpack.Map()}}
	rights := map[string]own.RightsTable{".broker/access/users": users}
	w := newWorld(t, own.Options{Rights: rights, Reload: func() error { return nil }})
	for _, tt := range []struct {
		path, method, param string
		level               rpc.Access
	}{
		{".broker", "name", "", rpc.AccessBrowse},
		{".broker", "clients", "", rpc.AccessSuperService},
		{".broker", "clientInfo", "1", rpc.AccessSuperService},
		{".broker", "disconnectClient", "12", rpc.AccessSuperService},
		{".broker/app", "ping", "", rpc.AccessBrowse},
		{".broker/app", "subscribe", `{"path":"a"}`, rpc.AccessRead},
		{".broker/app", "reloadConfig", "", rpc.AccessService},
		{".broker/currentClient", "subscribe", `"a"`, rpc.AccessBrowse},
		{".broker/currentClient", "changePassword", `["old","new-secret"]`, rpc.AccessWrite},
		{".broker/clients/12", "userName", "", rpc.AccessService},
		{".broker/clients/12", "dropClient", "", rpc.AccessService},
		{".broker/tunnels", "list", "", rpc.AccessSuperService},
		{".broker/tunnels", "close", "4", rpc.AccessSuperService},
		{".broker/tunnels/4", "close", "", rpc.AccessSuperService},
		{".broker/access/users", "ls", "", rpc.AccessSuper},
		{".broker/access/users", "dir", "", rpc.AccessSuper},
		{".broker/access/users", "value", "", rpc.AccessSuper},
		{".broker/access/users", "setValue", `["bob",{}]`, rpc.AccessSuper},
		{".broker/access/users/ann", "value", "", rpc.AccessSuper},
		{".broker/access/users/ann", "deactivate", "", rpc.AccessSuper},
	} {
		w.level = tt.level - 1
		if got := w.ask(tt.path, tt.method, tt.param); !strings.HasPrefix(got, "{3:") {
			t.Errorf("%s:%s with level %d: %s", tt.path, tt.method, w.level, got)
		}
		w.level = tt.level
		if got := w.ask(tt.path, tt.method, tt.param); !strings.HasPrefix(got, "{2:") && got != "" {
			t.Errorf("%s:%s with level %d: %s", tt.path, tt.method, w.level, got)
		}
	}
}

// Nodes that are hidden serve calls, but ls does not name them.
func TestNodesAreHidden(t *testing.T) {
	w := newWorld(t, own.Options{Rights: map[string]own.RightsTable{
		".broker/access/users": &table{entries: map[string]chainpack.Value{"ann": mustValue(t, "{}")}},
	}})
	w.answers(".broker", "ls", "", `{2:["app","client","currentClient"]}`)
	for _, path := range []string{
		".broker/clients", ".broker/mounts", ".broker/tunnels", ".broker/access", ".broker/access/users",
	} {
		w.answers(path, "ls", "", "{2:[…")
	}
}

func TestRightsAreReadAndChanged(t *testing.T) {
	users := &table{entries: map[string]chainpack.Value{"ann": mustValue(t, `{"roles":["r"]}`)}}
	roles := &table{entries: map[string]chainpack.Value{"r": mustValue(t, `{"access":[]}`)}}
	rights := map[string]own.RightsTable{".broker/access/users": users, ".broker/access/roles": roles}
	w := newWorld(t, own.Options{Rights: rights})
	for _, tt := range [][4]string{
		{".broker/access", "ls", "", `{2:["roles","users"]}`},
		{".broker/access/users", "value", "", `{2:{"ann":{"roles":["r"]}}}`},
		{".broker/access/users/ann", "value", "", `{2:{"roles":["r"]}}`},
		{".broker/access/users", "setValue", `["bob",{"roles":[]}]`, "{2:null}"},
		{".broker/access/users", "ls", "", `{2:["ann","bob"]}`},
		{".broker/access/users/bob", "deactivate", "", "{2:null}"},
		{".broker/access/users/bob", "setExpiration", `d"2027-01-01T00:00:00Z"`, "{2:null}"},
		{".broker/access/users/bob", "value", "", `{2:{"expires":d"2027-01-01T00:00:00Z","deactivated":true,"roles":[]}}`},
		{".broker/access/users/bob", "activate", "", "{2:null}"},
		{".broker/access/users", "setValue", `["ann",null]`, "{2:null}"},
		{".broker/access/users", "ls", "", `{2:["bob"]}`},
		{".broker/access/roles/r", "value", "", `{2:{"access":[]}}`},
	} {
		if got := w.ask(tt[0], tt[1], tt[2]); got != tt[3] {
			t.Errorf("%s:%s %s\ngot  %s\nwant %s", tt[0], tt[1], tt[2], got, tt[3])
		}
	}
	if !slices.Equal(w.broker.names, []string{"ann"}) {
		t.Errorf("the latest change was of %q", w.broker.names)
	}
	for _, tt := range [][3]string{
		{".broker/access/users", "setValue", `"ann"`}, {".broker/access/users", "setValue", `["ann"]`},
		{".broker/access/users/bob", "setExpiration", `"soon"`},
	} {
		w.refuses(tt[0], tt[1], tt[2], rpc.CodeInvalidParam, "takes")
	}
	w.refuses(".broker/access/roles/r", "activate", "", rpc.CodeMethodNotFound, "")
	w.refuses(".broker/access/users/none", "value", "", rpc.CodeMethodNotFound, "")
}

func TestConfigurationIsReloaded(t *testing.T) {
	var fails error
	w := newWorld(t, own.Options{Reload: func() error { return fails }})
	if got := w.ask(".broker/app", "reloadConfig", ""); strings.HasPrefix(got, "{3:") {
		t.Error(got)
	}
	fails = errors.New("user ann is twice there")
	got := w.ask(".broker/app", "reloadConfig", "")
	if !strings.Contains(got, "configuration not reloaded") || strings.Contains(got, "ann") {
		t.Errorf("the caller learns %s", got)
	}
	w = newWorld(t, own.Options{})
	w.refuses(".broker/app", "reloadConfig", "", rpc.CodeMethodNotFound, "")
	w.refuses(".broker/currentClient", "changePassword", `["old","new"]`, rpc.CodeMethodNotFound, "")
}

func TestPasswordIsChanged(t *testing.T) {
	users := &table{entries: map[string]chainpack.Value{"ann": mustValue(t, `{"password":"x","roles":["r"]}`)}}
	w := newWorld(t, own.Options{Rights: map[string]own.RightsTable{".broker/access/users": users}})
	change := func(param string) string { return w.ask(".broker/currentClient", "changePassword", param) }
	for _, param := range []string{`"old"`, `["old"]`, `["old",7]`, `["old",""]`, `["old","new-secret","new-secret-2"]`} {
		w.refuses(".broker/currentClient", "changePassword", param, rpc.CodeInvalidParam, "")
	}
	w.refuses(own.CurrentClient, "changePassword", `["old","1234567"]`, rpc.CodeInvalidParam, "at least 8 characters")
	if got := change(`["guess","new-secret"]`); !strings.Contains(got, "wrong") || w.caller.password != "old" {
		t.Errorf("a wrong old password: %s", got)
	}
	users.fails = true
	if got := change(`["old","new-secret"]`); !strings.Contains(got, "disk is full") || w.caller.password != "old" {
		t.Errorf("a full disk: %s, the password is %s", got, w.caller.password)
	}
	users.fails = false
	if got := change(`["old","new-secret"]`); strings.HasPrefix(got, "{3:") || w.caller.password != "new-secret" {
		t.Errorf("%s, the password is %s", got, w.caller.password)
	}
	if got := cpon.String(users.entries["ann"]); got != `{"password":"hash of new-secret","roles":["r"]}` {
		t.Errorf("stored: %s", got)
	}
	delete(users.entries, "ann")
	if got := change(`["new-secret","new-secret-2"]`); !strings.Contains(got, "no such entry") {
		t.Errorf("a user that is gone: %s", got)
	}
}

// The password is in all devices of the user: one of them could lock out all others.
func TestPasswordOfDevicesIsNotChanged(t *testing.T) {
	users := &table{entries: map[string]chainpack.Value{"ann": mustValue(t, `{"password":"x","roles":["r"]}`)}}
	w := newWorld(t, own.Options{Rights: map[string]own.RightsTable{".broker/access/users": users}})
	w.caller.info.PasswordFixed = true
	for _, param := range []string{`["old","new"]`, `["guess","new"]`, `7`} { // no guess is told from another
		w.refuses(".broker/currentClient", "changePassword", param, rpc.CodeException, "by an administrator only")
	}
	if w.caller.password != "old" {
		t.Errorf("the password is %s", w.caller.password)
	}
}

func TestParseID(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "42": 42, "999999999999999999": 999999999999999999,
		"": 0, "0": 0, "01": 0, "-1": 0, "+1": 0, "1a": 0, " 1": 0, "1000000000000000000": 0,
	} {
		if got := own.ParseID([]byte(text)); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}
