package e2e_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/sftp"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// entryPoint is a call that runs something on a device. do returns the output of the
// program, or the refusal.
type entryPoint struct {
	name string
	use  string // its name in a policy
	do   func(w *world, user string, words []string) string
}

func listOf(words []string) chainpack.Value {
	var items []chainpack.Value
	for _, word := range words {
		items = append(items, text(word))
	}
	return chainpack.List(items...)
}

// lineOf returns a line for a shell with these words.
func lineOf(words []string) string {
	var quoted []string
	for _, word := range words {
		quoted = append(quoted, "'"+word+"'")
	}
	return strings.Join(quoted, " ")
}

// bySession returns the output of a session with a param, or its error.
func (w *world) bySession(user string, param chainpack.Value) string {
	o := w.sessionOf(w.logIn(user), param)
	if o.end.Error != nil {
		return o.end.Error.Message
	}
	return strings.ReplaceAll(o.stdout, "\r\n", "\n")
}

func (r result) all() string { return string(r.stdout) + string(r.stderr) }

// withSFTP runs use in an SFTP session of a user, and returns the error of shvrsh.
func (w *world) withSFTP(user string, use func(*sftp.Client) error) string {
	w.t.Helper()
	cmd := w.as(user, "sftp")
	cmd.Args = append([]string{cmd.Args[0], "-s"}, cmd.Args[1:]...)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := sftp.NewClientPipe(out, in)
	if err == nil {
		err = use(c)
		_ = c.Close()
	}
	_ = in.Close()
	rest, _ := io.ReadAll(out)
	_ = cmd.Wait()
	if err != nil {
		return fmt.Sprint(said.String(), string(rest), err)
	}
	return "sftp"
}

var entryPoints = []entryPoint{
	{"command of the base protocol", "commands", func(w *world, user string, words []string) string {
		return w.bySession(user, param("runCmd", listOf(words)))
	}},
	{"command on a terminal", "commands", func(w *world, user string, words []string) string {
		return w.bySession(user, param("runPtyCmd", chainpack.List(listOf(words), chainpack.Int(80), chainpack.Int(24))))
	}},
	{"line", "commands", func(w *world, user string, words []string) string {
		return w.finish(w.as(user, lineOf(words))).all()
	}},
	{"runCmd", "commands", func(w *world, user string, words []string) string {
		param := chainpack.List(text(words[0]), listOf(words[1:]), chainpack.Int(1))
		return w.answerTo(w.logIn(user), device, "runCmd", cpon.String(param))
	}},
	{"shell", "shell", func(w *world, user string, words []string) string {
		cmd := w.as(user)
		cmd.Stdin = strings.NewReader(lineOf(words) + "\n")
		return w.finish(cmd).all()
	}},
	{"runScript", "scripts", func(w *world, user string, words []string) string {
		return w.answerTo(w.logIn(user), device, "runScript", cpon.String(text(lineOf(words))))
	}},
	{"sftp", "sftp", func(w *world, user string, _ []string) string {
		return w.withSFTP(user, func(c *sftp.Client) error { _, err := c.Getwd(); return err })
	}},
	{"files", "files", func(w *world, user string, _ []string) string {
		return w.answerTo(w.logIn(user), device+"/sys/fs/file", "read", "null")
	}},
}

// usersByRule is a broker configuration with one user for each kind of rule.
const usersByRule = `listen: [{url: "tcp://127.0.0.1:0"}]
access:
  users:
    device: {password: !Plain pw-device, roles: [devices]}
    off: {password: !Plain pw-off, roles: [su]}
    few: {password: !Plain pw-few, roles: [su]}
    menu: {password: !Plain pw-menu, roles: [su]}
    as: {password: !Plain pw-as, roles: [su]}
    low: {password: !Plain pw-low, roles: [operators]}
    high: {password: !Plain pw-high, roles: [su]}
  roles:
    devices: {access: [{shvRI: "**:*", grant: bws}], mount-points: ["test/**"]}
    operators: {access: [{shvRI: "**:*", grant: cmd}]}
    su: {access: [{shvRI: "**:*", grant: su}]}
`

const rulesByUser = `
rules:
- {name: out, users: ["off"], deny: true}
- {name: few, users: [few], commands: [echo **]}
- {name: rest, users: [few], deny: true}
- {name: menu, users: [menu], force: 'echo menu "$SHV_ORIGINAL_COMMAND"', env: []}
- {name: as, users: [as], run-as: nobody, shell: /bin/sh, umask: 027, dir: /usr, resources: {nofile: 64}}
- {name: high, level: srv}
`

// worldWithRules starts a world with one user for each kind of rule.
func worldWithRules(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.configuredBroker(usersByRule)
	served, file := w.newFile("served"), w.newFile("shvagent.yaml")
	if err := os.Mkdir(served, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(served+"/file", []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.configure(file, rulesByUser)
	w.setup = setup{
		agentOptions: []string{
			"--user", "device", "--config", file, "--sysfs-rootdir", served, "--state-dir", w.newFile("state"),
		},
		agentEnv: []string{"SHV_PASSWORD=pw-device"},
	}
	w.startAgent()
	return w
}

// A rule that one entry point ignored would be no rule. Each refusal names its rule, and
// what a rule allows works.
func TestEachRuleHoldsAtEachEntryPoint(t *testing.T) {
	t.Parallel()
	w := worldWithRules(t)
	const any = ""
	for _, tt := range []struct {
		user  string
		words []string
		want  map[string]string // by use, or by name of the entry point
	}{
		{"off", []string{"echo", "a"}, map[string]string{any: `rule "out" (shvagent.yaml:3) denies `}},
		{"low", []string{"echo", "a"}, map[string]string{any: `rule "high" (shvagent.yaml:8) requires access level srv`}},
		{"few", []string{"echo", "a;b"}, map[string]string{any: `rule "rest" (shvagent.yaml:5) denies `, "commands": "a;b"}},
		{"few", []string{"id"}, map[string]string{
			any:        `rule "rest" (shvagent.yaml:5) denies `,
			"commands": `rule "few" (shvagent.yaml:4) does not allow this command`,
		}},
		{"menu", []string{"id", "-u"}, map[string]string{
			any:         "menu ",
			"commands":  "menu id -u",
			"line":      "menu 'id' '-u'",
			"runScript": "menu 'id' '-u'",
			"files":     `rule "menu" (shvagent.yaml:6) runs one command`,
			"sftp":      "packet too long", // the output of menu is not SFTP
		}},
		{"as", []string{"sh", "-c", "id -un; umask; ulimit -n; pwd"}, map[string]string{
			any:         "nobody\n0027\n64\n/usr\n",
			"runCmd":    `nobody\n0027\n64\n/usr\n`,
			"runScript": `nobody\n0027\n64\n/usr\n`,
			"sftp":      "sftp",
			"files": `rule "as" (shvagent.yaml:7) runs as user nobody, ` +
				`and file nodes are served with the rights of the agent`,
		}},
		{"high", []string{"echo", "a"}, map[string]string{any: "a", "sftp": "sftp", "files": `b"content"`}},
	} {
		if tt.user == "as" && os.Geteuid() != 0 {
			continue // only root can become another user
		}
		for _, entry := range entryPoints {
			want, ok := tt.want[entry.name]
			if !ok {
				want, ok = tt.want[entry.use]
			}
			if !ok {
				want = tt.want[any]
			}
			if got := entry.do(w, tt.user, tt.words); !strings.Contains(got, want) {
				t.Errorf("%s, %s %q:\n got %q\nwant %q", tt.user, entry.name, tt.words, got, want)
			}
		}
	}
	// A caller without a user id gets the least favourable result of any user.
	nobody := w.logIn("high")
	for _, call := range [][3]string{
		{device, "launchRexec", `{"method":"runCmd","params":["id"]}`},
		{device, "runCmd", `"id"`},
		{device, "runScript", `"id"`},
		{device + "/sys/fs/file", "read", `null`},
	} {
		const text = `rule "out" (shvagent.yaml:3) applies by user`
		if _, err := callOf(nobody, call[0], call[1], call[2]); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s without a user id: %v", call[1], err)
		}
	}
}

// Files that SFTP makes belong to the user, with their umask.
func TestRunAsHoldsForSFTP(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	t.Parallel()
	w := worldWithRules(t)
	shared, err := os.MkdirTemp("", "shv-e2e-shared-") // other users cannot enter the directory of a test
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(shared)
	if err := os.Chmod(shared, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(shared, "new")
	if got := w.withSFTP("as", func(c *sftp.Client) error {
		if dir, err := c.Getwd(); err != nil || dir != "/usr" {
			return fmt.Errorf("in %s, %v", dir, err)
		}
		f, err := c.Create(file)
		if err == nil {
			err = f.Close()
		}
		return err
	}); got != "sftp" {
		t.Fatal(got)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 || info.Mode() != 0o640 {
		t.Errorf("made by %d with the mode %v", uid, info.Mode())
	}
}

// Commands and scripts would otherwise get around the limits of sessions, and so would a
// caller without a user id.
func TestCommandsAndScriptsCountAsSessions(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, "sessions: {total: 2, per-user: 1}\n", "--state-dir", t.TempDir())
	for _, method := range []string{"runCmd", "runScript"} {
		eva, bob, root := w.logIn("eva"), w.logIn("bob"), w.logIn("root")
		held := func(c *client.Client, user string) {
			runs := w.newFile(method + user)
			script := text("touch " + runs + "; exec sleep 1000")
			param := chainpack.List(text("sh"), chainpack.List(text("-c"), script))
			if method == "runScript" {
				param = script
			}
			_ = c.Send(rpc.AppendIdentified(nil, c.NewID(), device, method, param))
			eventually(t, patience, method+" runs", func() bool { _, err := os.Stat(runs); return err == nil })
		}
		held(eva, "eva")
		const own = `1 sessions of user "eva" are open on this device, no more are allowed (sessions.per-user)`
		w.finish(w.as("eva", "true")).wantsFailure(t, device, own)
		for _, other := range []string{"runCmd", "runScript"} {
			if got := w.answerTo(eva, device, other, `"true"`); !strings.Contains(got, own) {
				t.Errorf("%s beside %s: %s", other, method, got)
			}
		}
		held(bob, "bob")
		const total = "2 sessions are open on this device, no more are allowed (sessions.total)"
		if got := w.answerTo(root, device, "runCmd", `"true"`); !strings.Contains(got, total) {
			t.Errorf("beside two of %s: %s", method, got)
		}
		const perUser = "sessions.per-user applies by user"
		if _, err := callOf(root, device, method, `"true"`); err == nil || !strings.Contains(err.Error(), perUser) {
			t.Errorf("%s without a user id: %v", method, err)
		}
		eva.Close()
		bob.Close()
		w.agent.Stop(t) // no broker notifies a device that its callers are gone
		w.startAgent()
	}
}
