package e2e_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// shvcli runs a line in a session of its own: its progress bars read what is typed
// ahead.
func (w *world) shvcli(line string) string {
	w.t.Helper()
	path := filepath.Join(os.Getenv(venvEnv), "bin", "shvcli")
	if os.Getenv(venvEnv) == "" {
		var err error
		if path, err = exec.LookPath("shvcli"); err != nil {
			w.t.Skipf("shvcli is missing: pip install shvcli, or name a virtual environment that has it in %s", venvEnv)
		}
	}
	cmd := exec.Command(path, strings.Replace(w.url, "tcp://", "tcp://iot@", 1)+"?password=lub42DUB")
	cmd.Dir = w.dir
	cmd.Env = append(environment(), "HOME="+w.dir, "XDG_CACHE_HOME="+w.dir)
	cmd.Stdin = strings.NewReader(line + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Errorf("shvcli: %v\n%s", err, out)
	}
	return string(out)
}

func TestShvcliUploadsDownloadsAndVerifies(t *testing.T) {
	t.Parallel()
	exported := t.TempDir()
	w := setup{agentUser: []string{"--sysfs-rootdir", exported}}.start(t)
	for name, size := range map[string]int{"empty": 0, "buffer": 8192, "pages": 300_001} {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(rand.Uint32())
		}
		local, back := w.newFile(name), w.newFile(name+".back")
		for file, bytes := range map[string][]byte{local: content, back: []byte("shvcli downloads into files that are there")} {
			if err := os.WriteFile(file, bytes, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		node := device + "/sys/fs/" + name
		out := w.shvcli(node + ":!upload " + local)
		if there, err := os.ReadFile(filepath.Join(exported, name)); !bytes.Equal(there, content) {
			t.Errorf("%s: uploaded %d of %d bytes, %v\n%s", name, len(there), size, err, out)
		}
		out = w.shvcli(node + ":!download " + back)
		if got, err := os.ReadFile(back); !bytes.Equal(got, content) {
			t.Errorf("%s: downloaded %d of %d bytes, %v\n%s", name, len(got), size, err, out)
		}
		if out = w.shvcli(node + ":!verify " + local); !strings.Contains(out, "Files are same.") {
			t.Errorf("%s: verify says\n%s", name, out)
		}
		// What is there already is replaced, also by what is shorter; and verify
		// must be able to fail.
		if err := os.WriteFile(local, append(content[:size/2:size/2], '!'), 0o644); err != nil {
			t.Fatal(err)
		}
		if out := w.shvcli(node + ":!verify " + local); !strings.Contains(out, "Files differ.") {
			t.Errorf("%s: verify of another says\n%s", name, out)
		}
		w.shvcli(node + ":!upload " + local)
		if out := w.shvcli(node + ":!verify " + local); !strings.Contains(out, "Files are same.") {
			t.Errorf("%s: verify after a second upload says\n%s", name, out)
		}
	}
}

func TestShvcliIsToldWhatItMayNot(t *testing.T) {
	t.Parallel()
	exported := t.TempDir()
	w := setup{agentUser: []string{"--fs", exported, "--fs-read-only"}}.start(t)
	local := w.newFile("local")
	for _, file := range []string{local, filepath.Join(exported, "there")} {
		if err := os.WriteFile(file, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out := w.shvcli(device + "/sys/fs/there:!upload " + local); !strings.Contains(out, "No such writable SHV RPC file") {
		t.Errorf("upload to what is read-only: %s", out)
	}
	if out := w.shvcli(device + "/sys/fs/new:!upload " + local); !strings.Contains(out, "doesn't exist") {
		t.Errorf("upload of a new file: %s", out)
	}
	if out := w.shvcli(device + "/sys/fs/there:!verify " + local); !strings.Contains(out, "Files are same.") {
		t.Errorf("verify: %s", out)
	}
	if names, _ := filepath.Glob(exported + "/*"); len(names) != 1 {
		t.Errorf("made: %q", names)
	}
}

// shvcli asks each second whether a call still runs, and calls again where it is
// told that it does not, or cannot read the answer.
func TestShvcliCallsCommandsOnce(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for script, want := range map[string]string{
		`sleep 2.5; echo done`: `[0, "done\n"]`,
		`printf '\\377'`:       `[0, b"\ff"]`,
	} {
		ran := w.newFile("ran")
		if out := w.shvcli(device + `:runCmd ["sh",["-c","echo x >> ` + ran + `; ` + script + `"],1]`); !strings.Contains(out, want) {
			t.Errorf("%s: %s", script, out)
		}
		if b, _ := os.ReadFile(ran); string(b) != "x\n" {
			t.Errorf("%s ran %d times", script, len(b)/2)
		}
	}
}
