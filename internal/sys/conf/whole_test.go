package conf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/sys/conf"
)

// outcomes of reading a file as a whole.
const (
	fine   = "fine"
	warned = "warned"
	failed = "failed"
)

func whole(text string, by conf.Writer, reload bool) string {
	r := conf.Reader{Reload: reload}
	r.Whole("f.yaml", []byte(text), by)
	switch {
	case r.Err() != nil:
		return failed
	case len(r.Warnings()) > 0:
		return warned
	}
	return fine
}

func TestAFileThatWasCutOffIsNotTakenForAWholeOne(t *testing.T) {
	for _, tt := range []struct {
		name, text                  string
		start, reload, ownAtAnyTime string
	}{
		{"whole", "name: x\n", fine, fine, failed},
		{"whole, with marks", "---\nname: x\n...\n", fine, fine, fine},
		{"whole, with marks and comments", "# a\n\n---\nname: x\n...\n# b\n\n", fine, fine, fine},
		{"whole, behind a directive", "%YAML 1.2\n---\nname: x\n...\n", fine, fine, fine},
		{"whole, from Windows", "\ufeff---\r\nname: x\r\n...\r\n", fine, fine, fine},
		{"text behind the first mark", "--- {name: x}\n...\n", fine, fine, fine},
		{"no end of the last line", "name: x", warned, failed, failed},
		{"no end of the last line, a comment", "name: x\n# y", warned, failed, failed},
		{"no second mark", "---\nname: x\n", warned, failed, failed},
		{"a part of the second mark", "---\nname: x\n..", failed, failed, failed}, // not YAML
		{"no end of the second mark", "---\nname: x\n...", warned, failed, failed},
		{"the second mark in a comment alone", "---\nname: x\n#...\n", warned, failed, failed},
		{"empty", "", failed, failed, failed},
		{"blank", " \n\n", failed, failed, failed},
		{"comments alone", "# name: x\n", failed, failed, failed},
		{"an empty map", "{}\n", failed, failed, failed},
		{"null", "~\n", failed, failed, failed},
		{"the first mark alone", "---\n", failed, failed, failed},
		{"nothing between the marks", "---\n...\n", failed, failed, fine},
		{"zero bytes, as after a power cut", "\x00\x00\x00\n", failed, failed, failed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := whole(tt.text, conf.People, false); got != tt.start {
				t.Errorf("by hand, at start: %s, want %s", got, tt.start)
			}
			if got := whole(tt.text, conf.People, true); got != tt.reload {
				t.Errorf("by hand, at a reload: %s, want %s", got, tt.reload)
			}
			for _, reload := range []bool{false, true} {
				if got := whole(tt.text, conf.Programs, reload); got != tt.ownAtAnyTime {
					t.Errorf("ours, reload=%v: %s, want %s", reload, got, tt.ownAtAnyTime)
				}
			}
		})
	}
}

// A reload that waits for a pipe is the last one.
func TestAPipeIsNotWaitedForForEver(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		data, err := conf.ReadFile(pipe)
		done <- fmt.Sprint(len(data), err)
	}()
	select {
	case got := <-done:
		if got != "0 <nil>" {
			t.Error(got)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for a writer")
	}
	r, w, err := os.Pipe() // as <(…) of a shell makes one
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = w.WriteString("name: x\n")
		_ = w.Close()
	}()
	if data, err := conf.ReadFile(fmt.Sprintf("/proc/self/fd/%d", r.Fd())); string(data) != "name: x\n" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestNoPrefixOfAMarkedFileIsTakenAtAReload(t *testing.T) {
	text := "# a sample\n---\nname: x # y\n\nlimits:\n  frame: 16MiB\n  text: '...'\n# end\n...\n"
	for by, first := range map[conf.Writer]string{conf.People: "%YAML 1.2\n", conf.Programs: ""} {
		text := first + text
		if got := whole(text, by, true); got != fine {
			t.Fatalf("the whole file: %s", got)
		}
		for end := range len(text) {
			if got := whole(text[:end], by, true); got != failed {
				t.Errorf("%q: %s, want %s", text[:end], got, failed)
			}
		}
	}
}
