package interop_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// files runs shvcli for a device, once per line, in a directory of its own.
type files struct {
	t   *testing.T
	url string
	dir string
}

// startFiles starts a broker, and an agent with options.
func startFiles(t *testing.T, options ...string) files {
	t.Helper()
	b := startBroker(t)
	startAgent(t, b.listens[0], "iot", "lub42DUB", options...)
	return files{t: t, url: strings.Replace(b.login(), "tcp://", "tcp://iot@", 1), dir: t.TempDir()}
}

// run runs a line in a shvcli of its own, without a terminal, because progress bars read
// what is typed ahead.
func (f files) run(line string) string {
	f.t.Helper()
	cmd := exec.Command(inVenv("shvcli"), f.url)
	cmd.Dir, cmd.Env, cmd.Stdin = f.dir, environment(f.dir, "XDG_CACHE_HOME="+f.dir), strings.NewReader(line+"\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Errorf("shvcli: %v\n%s", err, out)
	}
	return string(out)
}

// write writes a file to shvcli's directory.
func (f files) write(name string, content []byte) (path string) {
	f.t.Helper()
	path = filepath.Join(f.dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		f.t.Fatal(err)
	}
	return path
}

const device = "test/agent"

func TestShvcliUploadsDownloadsAndVerifies(t *testing.T) {
	covers(t, "shvcli", "shvbroker and shvagent", "upload, download and verify of files below sys/fs")
	exported := t.TempDir()
	f := startFiles(t, "--sysfs-rootdir", exported)
	for name, size := range map[string]int{"empty": 0, "buffer": 8192, "pages": 300_001} {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(rand.Uint32())
		}
		local, back := f.write(name, content), f.write(name+".back", []byte("shvcli downloads into existing files only"))
		node := device + "/sys/fs/" + name
		out := f.run(node + ":!upload " + local)
		if there, err := os.ReadFile(filepath.Join(exported, name)); !bytes.Equal(there, content) {
			t.Errorf("%s: uploaded %d of %d bytes, %v\n%s", name, len(there), size, err, out)
		}
		out = f.run(node + ":!download " + back)
		if got, err := os.ReadFile(back); !bytes.Equal(got, content) {
			t.Errorf("%s: downloaded %d of %d bytes, %v\n%s", name, len(got), size, err, out)
		}
		if out = f.run(node + ":!verify " + local); !strings.Contains(out, "Files are same.") {
			t.Errorf("%s: verify says\n%s", name, out)
		}
		if name != "pages" {
			continue
		}
		// An upload replaces a file, also by a shorter one. And verify must be able to
		// fail.
		f.write(name, append(content[:size/2:size/2], '!'))
		if out := f.run(node + ":!verify " + local); !strings.Contains(out, "Files differ.") {
			t.Errorf("%s: verify of another says\n%s", name, out)
		}
		f.run(node + ":!upload " + local)
		if out := f.run(node + ":!verify " + local); !strings.Contains(out, "Files are same.") {
			t.Errorf("%s: verify after a second upload says\n%s", name, out)
		}
	}
}

func TestShvcliReportsThatFilesAreReadOnly(t *testing.T) {
	covers(t, "shvcli", "shvbroker and shvagent", "files that are read-only: upload refused, verify")
	exported := t.TempDir()
	f := startFiles(t, "--fs", exported, "--fs-read-only")
	local := f.write("local", []byte("old"))
	if err := os.WriteFile(filepath.Join(exported, "there"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := f.run(device + "/sys/fs/there:!upload " + local); !strings.Contains(out, "No such writable SHV RPC file") {
		t.Errorf("upload to what is read-only: %s", out)
	}
	if out := f.run(device + "/sys/fs/new:!upload " + local); !strings.Contains(out, "doesn't exist") {
		t.Errorf("upload of a new file: %s", out)
	}
	if out := f.run(device + "/sys/fs/there:!verify " + local); !strings.Contains(out, "Files are same.") {
		t.Errorf("verify: %s", out)
	}
	if names, _ := filepath.Glob(exported + "/*"); len(names) != 1 {
		t.Errorf("made: %q", names)
	}
}

// shvcli sends a query each second. It repeats the call if the answer says that the call
// does not run, or if it cannot read the answer.
func TestShvcliCallsCommandsOnce(t *testing.T) {
	covers(t, "shvcli", "shvbroker and shvagent", "runCmd that outlasts queries, binary output: run once")
	f := startFiles(t)
	for script, want := range map[string]string{
		`sleep 2.5; echo done`: `[0, "done\n"]`,
		`printf '\\377'`:       `[0, b"\ff"]`,
	} {
		ran := filepath.Join(t.TempDir(), "ran")
		out := f.run(device + `:runCmd ["sh",["-c","echo x >> ` + ran + `; ` + script + `"],1]`)
		if !strings.Contains(out, want) {
			t.Errorf("%s: %s", script, out)
		}
		if b, _ := os.ReadFile(ran); string(b) != "x\n" {
			t.Errorf("%s ran %d times", script, len(b)/2)
		}
	}
}
