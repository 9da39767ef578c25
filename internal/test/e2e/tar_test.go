package e2e_test

import (
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// piped runs `from | to` and checks that neither writes to stderr.
func (w *world) piped(from, to *exec.Cmd) {
	t := w.t
	t.Helper()
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from.Stdout, to.Stdin = out, r
	writer := w.launch(from)
	_ = out.Close()
	reader := w.launch(to)
	_ = r.Close()
	for _, p := range []*process{writer, reader} {
		if code := p.codeWithin(t, 10*patience); code != 0 || p.log.String() != "" {
			t.Errorf("%s: exit code %d, %q", p.Name, code, p.log)
		}
	}
}

func TestTarThroughAPipe(t *testing.T) {
	t.Parallel()
	tar := tool(t, "tar", "tar")
	size := int64(64 << 20)
	if long {
		size = 1 << 30
	}
	w := setup{}.start(t)
	src, there, back := w.place("src"), w.place("there"), w.place("back")
	large, err := os.Create(filepath.Join(src, "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	if _, err := io.CopyN(large, rand.NewChaCha8([32]byte{9}), size); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	w.piped(w.toolCommand(tar, "c", "-C", src, "."), w.rshCommand("tar", "x", "-C", there))
	sameFiles(t, filepath.Join(there, "large"), filepath.Join(src, "large"))
	w.piped(w.rshCommand("tar", "c", "-C", there, "."), w.toolCommand(tar, "x", "-C", back))
	sameFiles(t, filepath.Join(back, "large"), filepath.Join(src, "large"))
	t.Logf("%d MiB up and down in %v", size>>20, time.Since(start))
}
