package e2e_test

import (
	"debug/buildinfo"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"shvtools/internal/test/testbin"
)

// call runs one of the programs to its end.
func call(w *world, name string, args ...string) result {
	cmd := exec.Command(program(name), args...)
	cmd.Env = environment()
	return w.finish(cmd)
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range testbin.Names {
		help := call(w, name, "--help")
		text := string(help.stdout)
		if help.code != 0 || len(help.stderr) > 0 || !help.stdoutHas("Example", "--version") {
			t.Errorf("%s --help: %d, stdout %q, stderr %q", name, help.code, text, help.stderr)
		}
		version := call(w, name, "--version")
		text = string(version.stdout)
		if version.code != 0 || len(version.stderr) > 0 || strings.Count(text, "\n") != 1 ||
			!strings.HasPrefix(text, name+" ") || !strings.Contains(text, commit) || !strings.Contains(text, runtime.Version()) {
			t.Errorf("%s --version: %d, stdout %q, stderr %q", name, version.code, text, version.stderr)
		}
	}
}

// What urfave/cli makes man pages with takes longer to initialize than all of ours.
func TestProgramsDoWithoutManPages(t *testing.T) {
	t.Parallel()
	for _, name := range testbin.Names {
		info, err := buildinfo.ReadFile(program(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range info.Deps {
			if strings.Contains(m.Path, "md2man") || strings.Contains(m.Path, "blackfriday") {
				t.Errorf("%s is built with %s; see TAGS of the Makefile", name, m.Path)
			}
		}
	}
}

func TestInvalidCommandLinesAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		args []string
		why  string
	}{
		{nil, "PATH"},
		{[]string{"--no-such", device}, "unknown option --no-such"},
		{[]string{"--url"}, "--url needs a value"},
		{[]string{"--url", "gopher://host", device, "true"}, "gopher"},
		{[]string{"--url", "tcp://host:99999", device, "true"}, "99999"},
		{[]string{"--url", "ssl://host", device, "true"}, "no user"},
		{[]string{"--url", "tcp://127.0.0.1/test/agent", "true"}, "the path of a device is an argument of its own"},
		{[]string{"--password-file", "/nonexistent/file", device, "true"}, "/nonexistent/file"},
	} {
		call(w, "shvrsh", tt.args...).wantsFailure(t, tt.why)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		why  string
	}{
		{"shvbroker", []string{"extra"}, 2, "extra"},
		{"shvbroker", []string{"--no-such"}, 2, "unknown option"},
		{"shvbroker", []string{"--listen", "tcp://0.0.0.0:0"}, 2, "--allow-plaintext"},
		{"shvbroker", []string{"--listen", "tcp://0.0.0.0:0", "--allow-plaintext"}, 2, "loopback"},
		{"shvbroker", []string{"--listen", "ssl://0.0.0.0:0"}, 2, "loopback"},
		{"shvbroker", []string{"--listen", "ssl://127.0.0.1:0"}, 1, "certificate"},
		{"shvbroker", []string{"--listen", "ssl://127.0.0.1:0", "--tls-cert", "/nonexistent/c", "--tls-key", "/k"}, 1,
			"/nonexistent/c"},
		{"shvbroker", []string{"--listen", "unix:/nonexistent/dir/sock"}, 1, "/nonexistent/dir"},
		{"shvbroker", []string{"--journal-unsafe"}, 2, "--journal"},
		{"shvbroker", []string{"--metrics-listen", "127.0.0.1", "--check-config"}, 2, "--metrics-listen"},
		{"shvagent", []string{"extra"}, 2, "extra"},
		{"shvagent", []string{"status", "extra"}, 2, "extra"},
		{"shvagent", []string{"--heartbeat", "1ms"}, 2, "--heartbeat"},
		{"shvagent", []string{"--url", "tcp://u@h:x"}, 2, "tcp"},
		{"shvagent", []string{"--fs", ".", "--fs-max-file", "1T"}, 2, "--fs-max-file"},
		{"shvagent", []string{"--cmd-max-output", "9M"}, 2, "--cmd-max-output"},
		{"shvagent", []string{"--cmd-timeout", "0s"}, 2, "--cmd-timeout"},
		{"shvrexec", []string{"--no-such"}, 2, "unknown option"},
		{"shvrexec", nil, 1, "no line from the agent"},
	} {
		r := call(w, tt.name, tt.args...)
		text := string(r.stderr)
		if r.code != tt.code || len(r.stdout) > 0 || strings.Count(text, "\n") != 1 ||
			!strings.HasPrefix(text, tt.name+": ") || !strings.Contains(text, tt.why) {
			t.Errorf("%s %q: %d, stdout %q, stderr %q; want %d and %q",
				tt.name, tt.args, r.code, r.stdout, text, tt.code, tt.why)
		}
	}
}
