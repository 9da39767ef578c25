package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// skipEnv is set if the real tools are not available, for example by .ci/run without apt.
const skipEnv = "SHV_SKIP_MISSING_TOOLS"

// The name of the device for programs that treat a name with a slash as a local file.
const deviceHost = "test%2Fagent"

// tool returns the path of a program that calls shvrsh instead of ssh.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv(skipEnv) != "":
		t.Skipf("%s is missing", name)
	default:
		t.Fatalf("%s is missing: install the Debian package %s, or set %s=1 to go without", name, debian, skipEnv)
	}
	return path
}

// use runs a tool for the world's broker, with an empty stdin.
func (w *world) use(path string, args ...string) result {
	w.t.Helper()
	return w.finish(w.toolCommand(path, args...))
}

func (w *world) toolCommand(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = w.dir
	cmd.Env = environment("SHV_URL="+w.url, "LC_ALL=C.UTF-8")
	return cmd
}

// wantsQuiet checks that a tool succeeded without output.
func (r result) wantsQuiet(t testing.TB, what string) {
	t.Helper()
	if r.code != 0 || len(r.stdout) > 0 || len(r.stderr) > 0 {
		t.Errorf("%s: exit code %d, stdout %q, stderr %q", what, r.code, r.stdout, r.stderr)
	}
}

// place names a new directory, or a file in one.
func (w *world) place(names ...string) string {
	w.t.Helper()
	dir := filepath.Join(append([]string{w.dir}, names...)...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

func write(t testing.TB, file string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// noise returns data that cannot be compressed.
func noise(seed byte, size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

// oddTree makes a tree with unusual file names, modes and times.
func oddTree(t testing.TB, root string) {
	t.Helper()
	past := time.Date(2001, 9, 9, 1, 46, 40, 0, time.UTC)
	dirs := []string{"", "plain", "with space", "plain/deep/er", "-dir", "closed"}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{
		"a file", "new\nline", "grüße ☃", "-n", "--delete", "*", "$HOME", `quote'"\`, "\xff\xfe",
		"plain/deep/er/leaf", "with space/in it", "-dir/-f", "closed/secret",
	} {
		mode := []os.FileMode{0o644, 0o600, 0o755, 0o444}[i%4]
		write(t, filepath.Join(root, name), fmt.Appendf(nil, "this is %q\n", name), mode)
	}
	write(t, filepath.Join(root, "empty"), nil, 0o640)
	write(t, filepath.Join(root, "large"), noise(2, 5_000_000), 0o644)
	for name, target := range map[string]string{
		"link": "a file", "dangling": "no such\nthing", "up": "../..", "to dir": "with space",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	old := []string{"empty", "plain/deep/er/leaf", "plain", "plain/deep"}
	for _, name := range old {
		if err := os.Chtimes(filepath.Join(root, name), past, past); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// listing returns what a copy of a tree must have too: the kind, mode, time and content of
// each name.
func listing(t testing.TB, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		case info.IsDir():
			found[name] = fmt.Sprint(info.Mode(), info.ModTime().Unix())
		default:
			sum, err := hashOf(path)
			found[name] = fmt.Sprint(info.Mode(), info.ModTime().Unix(), info.Size(), sum)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func hashOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return fmt.Sprintf("%x", sum.Sum(nil)), err
}

// sameFiles checks that two files have the same content.
func sameFiles(t testing.TB, got, want string) {
	t.Helper()
	is, err := hashOf(got)
	if err != nil {
		t.Error(err)
		return
	}
	if should, err := hashOf(want); err != nil || is != should {
		t.Errorf("%s is not the same as %s (%v)", got, want, err)
	}
}

// sameTrees checks that a tree is a copy of another.
func sameTrees(t testing.TB, got, want string) {
	t.Helper()
	is, should := listing(t, got), listing(t, want)
	for _, name := range slices.Sorted(maps.Keys(should)) {
		if is[name] != should[name] {
			t.Errorf("%q is %q, want %q", name, is[name], should[name])
		}
	}
	for name := range is {
		if _, ok := should[name]; !ok {
			t.Errorf("%q is there too", name)
		}
	}
}

// configured makes a tool use a configuration of shvrsh instead of $SHV_URL.
func (w *world) configured(cmd *exec.Cmd, yaml string) *exec.Cmd {
	w.t.Helper()
	home := w.place("config")
	write(w.t, filepath.Join(w.place("config", "shvrsh"), "config.yaml"), []byte(yaml), 0o644)
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "SHV_URL=") })
	cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+home)
	return cmd
}

// pump7 returns a configuration in which pump7 names the device.
func (w *world) pump7() string {
	return fmt.Sprintf("hosts:\n  pump7: {url: %q, path: %s}\n", w.url, device)
}
