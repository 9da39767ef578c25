package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rsync runs rsync with shvrsh as its ssh.
func (w *world) rsync(args ...string) result {
	w.t.Helper()
	return w.use(tool(w.t, "rsync", "rsync"), append([]string{"-e", program("shvrsh")}, args...)...)
}

func TestRsyncMirrorsATree(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	src := w.place("src")
	oddTree(t, src)
	there := w.place("on the device") + "/" // with a space
	back := w.place("back")
	check := []string{"-a", "--checksum", "--itemize-changes"}

	w.rsync("-a", src+"/", deviceHost+":"+there).wantsQuiet(t, "up")
	sameTrees(t, there, src)
	w.rsync(append(check, src+"/", deviceHost+":"+there)...).wantsQuiet(t, "up again")

	w.rsync("-a", deviceHost+":"+there, back+"/").wantsQuiet(t, "down")
	sameTrees(t, back, src)
	w.rsync(append(check, deviceHost+":"+there, back+"/")...).wantsQuiet(t, "down again")

	// Deleted files are deleted on the device, and new files are copied.
	if err := os.RemoveAll(filepath.Join(src, "with space")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(src, "new one"), []byte("new"), 0o600)
	write(t, filepath.Join(src, "large"), append(noise(2, 4_000_000), noise(3, 1_000_003)...), 0o644)
	w.rsync("-a", "--delete", src+"/", deviceHost+":"+there).wantsQuiet(t, "--delete up")
	sameTrees(t, there, src)
	w.rsync("-a", "--delete", deviceHost+":"+there, back+"/").wantsQuiet(t, "--delete down")
	sameTrees(t, back, src)
}

func TestRsyncByAnAlias(t *testing.T) {
	t.Parallel()
	rsync := tool(t, "rsync", "rsync")
	w := setup{}.start(t)
	write(t, filepath.Join(w.dir, "file"), noise(4, 100_000), 0o644)
	for _, to := range []string{"pump7:", "iot@pump7:"} {
		copied := w.newFile("copy")
		cmd := w.toolCommand(rsync, "-a", "-e", program("shvrsh"), "file", to+copied)
		w.finish(w.configured(cmd, w.pump7())).wantsQuiet(t, to)
		sameFiles(t, copied, filepath.Join(w.dir, "file"))
	}
}

func TestRsyncThatFails(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, tt := range []struct {
		what  string
		args  []string
		code  int // or 12, which rsync returns if it sees the end of the stream first
		texts []string
	}{
		{"no such file", []string{deviceHost + ":/nonexistent/file"}, 23, []string{"/nonexistent", "No such file"}},
		{"a remote shell that ends at once", []string{"--rsync-path=exit 0;", deviceHost + ":/etc/hostname"}, 12,
			[]string{"connection unexpectedly closed"}},
		{"no rsync there", []string{"--rsync-path=/nonexistent/rsync", deviceHost + ":/etc/hostname"}, 127,
			[]string{"/nonexistent/rsync"}},
		{"no device", []string{"test%2Fnosuch:/etc/hostname"}, 255, []string{"shvrsh: test/nosuch: no such device"}},
	} {
		r := w.rsync(append(tt.args, w.dir+"/")...)
		if r.code != tt.code && (r.code != 12 || tt.code < 126) {
			t.Errorf("%s: exit code %d, want %d; stderr %q", tt.what, r.code, tt.code, r.stderr)
		}
		for _, text := range tt.texts {
			if !bytes.Contains(r.stderr, []byte(text)) {
				t.Errorf("%s: stderr %q, want %q in it", tt.what, r.stderr, text)
			}
		}
	}
}

// rsync returns the exit code of its ssh if it sees it in time, otherwise 12.
func TestRsyncWhenTheOtherSideDies(t *testing.T) {
	t.Parallel()
	rsync := tool(t, "rsync", "rsync")
	for _, tt := range []struct {
		name string
		kill func(w *world, remote int)
		code int
		text string
	}{
		{"rsync", func(w *world, remote int) { w.killPid(remote) }, 128 + 9, "rsync error: "},
		{"helper", func(w *world, _ int) { w.killHelper() }, 255, "the device restarted or lost its connection"},
		{"agent", func(w *world, _ int) { w.kill(w.agent) }, 255, "the agent on the device was lost"},
		{"broker", func(w *world, _ int) { w.kill(w.broker) }, 255, "session ended: connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup{}.start(t)
			large := filepath.Join(w.dir, "large")
			write(t, large, noise(5, 20_000_000), 0o644)
			copied := filepath.Join(w.dir, "copy")
			p := w.launch(w.toolCommand(rsync, "--bwlimit=1M", "-e", program("shvrsh"), deviceHost+":"+large, copied))
			var remote []int
			eventually(t, patience, "rsync runs on the device", func() bool {
				remote = processes(func(pid int) bool {
					line := commandLine(pid)
					return strings.HasPrefix(line, "rsync --server") && strings.HasSuffix(line, large)
				})
				return len(remote) == 1
			})
			start := time.Now()
			tt.kill(w, remote[0])
			if code := p.code(t); code != tt.code && code != 12 {
				t.Errorf("exit code %d, want %d or 12", code, tt.code)
			}
			if text := p.log.String(); !strings.Contains(text, tt.text) {
				t.Errorf("it says %q, want %q in it", text, tt.text)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if _, err := os.Stat(copied); err == nil {
				t.Error("a part of the file counts as the whole")
			}
			eventually(t, patience, "the remote rsync ends", func() bool { return syscall.Kill(remote[0], 0) != nil })
		})
	}
}
