package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repo is a repository on the device, and a working copy here whose content the tests
// push.
type repo struct {
	w       *world
	git     string
	env     []string
	there   string // bare, on the device
	work    string
	packets string // trace of the last call
}

// quietGit turns off the settings of the machine, on both sides, and maintenance in the
// background.
var quietGit = []string{
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
	"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=maintenance.auto", "GIT_CONFIG_VALUE_0=false",
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	git := tool(t, "git", "git")
	w := setup{agentEnv: quietGit}.start(t)
	r := &repo{
		w:     w,
		git:   git,
		there: filepath.Join(w.place("on the device"), "repo.git"), // with a space
		work:  w.place("work"),
	}
	r.env = append([]string{
		"GIT_AUTHOR_NAME=e2e", "GIT_AUTHOR_EMAIL=e2e@test", "GIT_COMMITTER_NAME=e2e", "GIT_COMMITTER_EMAIL=e2e@test",
	}, quietGit...)
	r.run(w.dir, "init", "-q", "--bare", "-b", "main", r.there)
	r.run(r.work, "init", "-q", "-b", "main")
	r.commit(r.work, "first", []byte("first\n"))
	return r
}

// run runs git in a directory, with more environment.
func (r *repo) run(dir string, args ...string) string {
	r.w.t.Helper()
	return r.with(dir, nil, args...)
}

// byEnv runs git with shvrsh as its ssh, set in the environment.
func (r *repo) byEnv(dir string, args ...string) string {
	r.w.t.Helper()
	return r.with(dir, []string{"GIT_SSH=" + program("shvrsh")}, args...)
}

func (r *repo) with(dir string, env []string, args ...string) string {
	t := r.w.t
	t.Helper()
	cmd := r.w.toolCommand(r.git, args...)
	r.packets = r.w.newFile("packets")
	cmd.Dir = dir
	cmd.Env = append(append(append(cmd.Env, r.env...), env...), "GIT_TRACE_PACKET="+r.packets)
	res := r.w.finish(cmd)
	if res.code != 0 {
		t.Fatalf("git %q: exit code %d, stderr %q", args, res.code, res.stderr)
	}
	return string(res.stdout)
}

func (r *repo) commit(dir, name string, data []byte) {
	r.w.t.Helper()
	write(r.w.t, filepath.Join(dir, name), data, 0o644)
	r.run(dir, "add", ".")
	r.run(dir, "commit", "-q", "-m", name)
}

func (r *repo) head(dir string) string {
	r.w.t.Helper()
	return strings.TrimSpace(r.run(dir, "rev-parse", "refs/heads/main"))
}

// wantsVersion2 checks that the last call used protocol v2. git uses it only if it treats
// shvrsh as OpenSSH.
func (r *repo) wantsVersion2() {
	r.w.t.Helper()
	text, err := os.ReadFile(r.packets)
	if err != nil || !strings.Contains(string(text), "< version 2") {
		r.w.t.Errorf("no protocol v2 (%v): %.2000s", err, text)
	}
}

func TestGitThroughShvrsh(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	url := deviceHost + ":" + r.there
	r.byEnv(r.work, "push", "-q", url, "main")
	if r.head(r.there) != r.head(r.work) {
		t.Error("nothing was pushed")
	}
	clone := filepath.Join(r.w.dir, "clone")
	r.byEnv(r.w.dir, "clone", "-q", url, clone)
	r.wantsVersion2()
	sameFiles(t, filepath.Join(clone, "first"), filepath.Join(r.work, "first"))

	r.commit(r.work, "second", []byte("second\n"))
	r.byEnv(r.work, "push", "-q", url, "main")
	r.byEnv(clone, "fetch", "-q")
	r.wantsVersion2()
	if got := strings.TrimSpace(r.run(clone, "rev-parse", "refs/remotes/origin/main")); got != r.head(r.work) {
		t.Errorf("fetched %s", got)
	}

	// core.sshCommand is a line for a shell.
	r.run(clone, "config", "core.sshCommand", "'"+program("shvrsh")+"' -q")
	r.run(clone, "pull", "-q", "--ff-only")
	r.wantsVersion2()
	r.commit(clone, "third", []byte("third\n"))
	r.run(clone, "push", "-q", "origin", "main")
	if r.head(r.there) != r.head(clone) {
		t.Error("nothing was pushed by core.sshCommand")
	}
}

func TestGitCarriesMuch(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	url := deviceHost + ":" + r.there
	for i := range 5 {
		r.commit(r.work, fmt.Sprintf("large%d", i), noise(byte(10+i), 4<<20))
	}
	r.byEnv(r.work, "push", "-q", url, "main")
	clone := filepath.Join(r.w.dir, "clone")
	r.byEnv(r.w.dir, "clone", "-q", url, clone)
	r.run(clone, "fsck", "--no-dangling")
	for i := range 5 {
		name := fmt.Sprintf("large%d", i)
		sameFiles(t, filepath.Join(clone, name), filepath.Join(r.work, name))
	}
}

func TestGitUnderstandsEachFormOfURL(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	port := r.w.url[strings.LastIndexByte(r.w.url, ':')+1:]
	r.run(r.work, "push", "-q", r.there, "main")
	wrongPort := strings.TrimSuffix(r.w.pump7(), "\n")
	wrongPort = strings.Replace(wrongPort, ":"+port, ":1", 1) + "\n"
	path := strings.ReplaceAll(r.there, " ", "%20")
	for i, tt := range []struct{ url, config string }{
		{"pump7:" + r.there, r.w.pump7()},
		{"ssh://pump7" + path, r.w.pump7()},
		{"ssh://iot@pump7:" + port + path, wrongPort}, // by -p
	} {
		clone := filepath.Join(r.w.dir, fmt.Sprint("clone", i))
		cmd := r.w.configured(r.w.toolCommand(r.git, "clone", "-q", tt.url, clone), tt.config)
		cmd.Env = append(append(cmd.Env, r.env...), "GIT_SSH="+program("shvrsh"))
		r.w.finish(cmd).wantsQuiet(t, tt.url)
		if r.head(clone) != r.head(r.work) {
			t.Errorf("%s: cloned something else", tt.url)
		}
	}
}
