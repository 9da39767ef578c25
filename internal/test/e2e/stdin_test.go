package e2e_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStdinIsCarriedToItsEnd(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	const text = "pear\napple\nfig\n"
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opened := func() io.Reader {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	w.rshWith(strings.NewReader(text), "cat").wants(t, 0, text, "")
	w.rshWith(strings.NewReader(text), "sort").wants(t, 0, "apple\nfig\npear\n", "")
	w.rshWith(strings.NewReader(""), "wc", "-c").wants(t, 0, "0\n", "")
	w.rshWith(opened(), "sort").wants(t, 0, "apple\nfig\npear\n", "")
	w.rshWith(opened(), "wc", "-c").wants(t, 0, "15\n", "")
	w.rshWith(nil, "wc", "-c").wants(t, 0, "0\n", "") // /dev/null
}

func TestClosedStdinIsEmpty(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	cmd := w.rshCommand("wc", "-c")
	cmd.Args = append([]string{"/bin/sh", "-c", `exec "$@" <&-`, "sh"}, cmd.Args...)
	cmd.Path = "/bin/sh"
	w.finish(cmd).wants(t, 0, "0\n", "")
}

// As with `shvrsh test/agent <script`.
func TestShellWithoutATerminal(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.rshWith(strings.NewReader("echo $((40+2))\nexit 5\n")).wants(t, 5, "42\n", "")
}

// endless is a stdin without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestCommandNeedNotReadItsStdin(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.rshWith(endless{}, "true").wants(t, 0, "", "")
	w.rshWith(endless{}, "head", "-c", "5", "|", "wc", "-c").wants(t, 0, "5\n", "")
	w.rshWith(endless{}, "exec <&-; echo closed; exit 3").wants(t, 3, "closed\n", "")
}

// Neither shvrsh nor the command may wait for a stdin that stays open.
func TestOpenStdinDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	r, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer held.Close()
	w.rshWith(r, "echo", "done").wants(t, 0, "done\n", "")
}
