package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// bothModes are the two protocols of scp: one uses the SFTP server in shvrexec, the other
// an scp on the device.
var bothModes = []struct {
	name string
	args []string
}{{"sftp mode", nil}, {"-O", []string{"-O"}}}

func TestScpCopiesEachKindOfFile(t *testing.T) {
	t.Parallel()
	scp := tool(t, "scp", "openssh-client")
	for _, mode := range bothModes {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := setup{}.start(t)
			run := func(args ...string) {
				t.Helper()
				args = append(append([]string{"-S", program("shvrsh")}, mode.args...), args...)
				w.use(scp, args...).wantsQuiet(t, strings.Join(args, " "))
			}
			file := filepath.Join(w.dir, "a file")
			write(t, file, noise(6, 3_000_000), 0o750)
			there := w.place("there")

			run(file, deviceHost+":"+there)
			sameFiles(t, filepath.Join(there, "a file"), file)
			back := filepath.Join(w.dir, "back")
			far := deviceHost + ":" + there + "/a file"
			if mode.name == "-O" {
				far = deviceHost + ":" + there + `/a\ file` // a shell reads it
			}
			run(far, back)
			sameFiles(t, back, file)

			write(t, filepath.Join(w.dir, "empty"), nil, 0o600)
			run(filepath.Join(w.dir, "empty"), deviceHost+":"+there+"/nothing")
			if info, err := os.Stat(filepath.Join(there, "nothing")); err != nil || info.Size() != 0 || info.Mode() != 0o600 {
				t.Errorf("the empty file: %v, %v", info, err)
			}

			// Modes and times.
			past := time.Date(2001, 9, 9, 1, 46, 40, 0, time.UTC)
			if err := os.Chtimes(file, past, past); err != nil {
				t.Fatal(err)
			}
			run("-p", file, deviceHost+":"+there+"/kept")
			run("-p", deviceHost+":"+there+"/kept", filepath.Join(w.dir, "kept"))
			for _, name := range []string{filepath.Join(there, "kept"), filepath.Join(w.dir, "kept")} {
				if info, err := os.Stat(name); err != nil || info.Mode() != 0o750 || !info.ModTime().Equal(past) {
					t.Errorf("%s: %v, %v", name, info, err)
				}
			}

			tree := w.place("tree")
			oddTree(t, tree)
			for _, name := range []string{"dangling", "up", "link", "to dir", "new\nline"} { // scp follows links
				if err := os.Remove(filepath.Join(tree, name)); err != nil {
					t.Fatal(err)
				}
			}
			run("-rp", tree, deviceHost+":"+there)
			sameTrees(t, filepath.Join(there, "tree"), tree)
			again := w.place("again")
			run("-rp", deviceHost+":"+there+"/tree", again)
			sameTrees(t, filepath.Join(again, "tree"), tree)
		})
	}
}

func TestScpByAnAliasAndItsFailures(t *testing.T) {
	t.Parallel()
	scp := tool(t, "scp", "openssh-client")
	w := setup{}.start(t)
	file := filepath.Join(w.dir, "file")
	write(t, file, noise(7, 100_000), 0o644)
	for _, mode := range bothModes {
		copied := w.newFile("copy")
		args := append([]string{"-S", program("shvrsh")}, mode.args...)
		cmd := w.toolCommand(scp, append(args, file, "iot@pump7:"+copied)...)
		w.finish(w.configured(cmd, w.pump7())).wantsQuiet(t, mode.name)
		sameFiles(t, copied, file)
		for _, tt := range []struct{ from, text string }{
			{deviceHost + ":/nonexistent/file", "No such file"},
			{"test%2Fnosuch:/etc/hostname", "shvrsh: test/nosuch: no such device"},
		} {
			r := w.use(scp, append(args, tt.from, w.newFile("none"))...)
			if r.code == 0 || !strings.Contains(string(r.stderr), tt.text) {
				t.Errorf("%s %s: exit code %d, stderr %q; want %q in it", mode.name, tt.from, r.code, r.stderr, tt.text)
			}
		}
	}
}

func TestSftpBatch(t *testing.T) {
	t.Parallel()
	sftp := tool(t, "sftp", "openssh-client")
	w := setup{}.start(t)
	file := filepath.Join(w.dir, "a file")
	write(t, file, noise(8, 2_000_000), 0o640)
	there := w.place("there")
	batch := func(dest string, lines ...string) result {
		t.Helper()
		name := filepath.Join(w.dir, "batch")
		write(t, name, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
		return w.use(sftp, "-S", program("shvrsh"), "-b", name, dest)
	}
	r := batch(device, // sftp takes a slash before the colon
		"cd "+there, "pwd", "mkdir new", `put "`+file+`" new/first`, "rename new/first new/second", "chmod 600 new/second",
		"ln -s second new/link", "ls -l new", `get new/second "`+w.dir+`/came back"`,
		`put -p "`+file+`" gone`, "rm gone", "mkdir empty", "rmdir empty")
	if r.code != 0 || len(r.stderr) > 0 || !strings.Contains(string(r.stdout), "Remote working directory: "+there) ||
		!strings.Contains(string(r.stdout), "-rw-------") {
		t.Errorf("exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
	second := filepath.Join(there, "new", "second")
	sameFiles(t, second, file)
	sameFiles(t, filepath.Join(w.dir, "came back"), file)
	if info, err := os.Stat(second); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if target, err := os.Readlink(filepath.Join(there, "new", "link")); target != "second" {
		t.Errorf("the link shows %q, %v", target, err)
	}
	for _, name := range []string{"gone", "empty", "new/first"} {
		if _, err := os.Lstat(filepath.Join(there, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}

	// It begins in the home directory, like any session.
	home := strings.TrimSpace(string(w.rsh("pwd").stdout))
	if r := batch(deviceHost, "pwd"); !strings.HasSuffix(strings.TrimSpace(string(r.stdout)), home) {
		t.Errorf("it begins in %q", r.stdout)
	}

	r = batch(deviceHost, "get /nonexistent/file", "mkdir "+there+"/not-made")
	if r.code == 0 || !strings.Contains(string(r.stderr), "not found") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	if _, err := os.Stat(filepath.Join(there, "not-made")); err == nil {
		t.Error("the batch went on behind an error")
	}
	r = batch("test%2Fnosuch", "pwd")
	if r.code == 0 || !strings.Contains(string(r.stderr), "shvrsh: test/nosuch: no such device") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	eventually(t, patience, "all SFTP servers end", func() bool { return len(w.sessionsLeft()) == 0 })
}

// A server must not outlive its user.
func TestSftpServerEndsWithItsUser(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, victim := range victims {
		if victim.name == "broker" || victim.name == "agent" {
			continue // as with any other session
		}
		r, held, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := w.shvrsh("-s", device, "sftp")
		cmd.Stdin = r
		p := w.launch(cmd)
		eventually(t, patience, "the server runs", func() bool { return len(w.sftpServers()) == 1 })
		start := time.Now()
		victim.kill(w, p.pid())
		eventually(t, told-time.Since(start), "the server ends", func() bool { return len(w.sessionsLeft()) == 0 })
		p.code(t)
		_ = held.Close()
		_ = r.Close()
	}
}

// sftpServers returns the SFTP servers on the world's device.
func (w *world) sftpServers() []int {
	return slices.DeleteFunc(w.sessionsLeft(), func(pid int) bool { return commandLine(pid) != "shvrexec --sftp-server" })
}
