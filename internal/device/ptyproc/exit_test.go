package ptyproc_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"shvtools/internal/device/ptyproc"
)

func TestExitIsTheProcesss(t *testing.T) {
	tests := []struct {
		script string
		want   ptyproc.Exit
		name   string
	}{
		{"exit 0", ptyproc.Exit{}, ""},
		{"exit 42", ptyproc.Exit{Code: 42}, ""},
		{"exit 255", ptyproc.Exit{Code: 255}, ""},
		{"nosuchprogram", ptyproc.Exit{Code: 127}, ""},
		{"/etc/passwd", ptyproc.Exit{Code: 126}, ""},
		{"kill -TERM $$", ptyproc.Exit{Signal: syscall.SIGTERM}, "TERM"},
		{"kill -KILL $$", ptyproc.Exit{Signal: syscall.SIGKILL}, "KILL"},
	}
	eachMode(t, func(t *testing.T, m mode) {
		for _, tt := range tests {
			p := shell(t, m, tt.script)
			for range 2 {
				if got := p.Wait(); got != tt.want || got.Name() != tt.name {
					t.Errorf("%s: got %+v %q, want %+v %q", tt.script, got, got.Name(), tt.want, tt.name)
				}
			}
			select {
			case <-p.Done():
			default:
				t.Error("Done isn't closed after Wait")
			}
			if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("Signal after the end = %v", err)
			}
		}
	})
}

func TestStartErrorsAreOneCleanLineWithACode(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode fs.FileMode) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	plain := put("plain", "text\n", 0o644)
	orphan := put("orphan", "#!/no/such/interpreter\n", 0o755)
	junk := put("junk", "\x01\x02\x03\n", 0o755)

	tests := []struct {
		name string
		spec ptyproc.Spec
		code int
		text string
	}{
		{"unknown", ptyproc.Spec{Path: "nosuch"}, 127, "nosuch: not found"},
		{"unknown path", ptyproc.Spec{Path: "/no/such"}, 127, "/no/such: not found"},
		{"below a file", ptyproc.Spec{Path: plain + "/x"}, 127, plain + "/x: not a directory"},
		{"empty", ptyproc.Spec{}, 127, "no program given"},
		{"directory", ptyproc.Spec{Path: dir}, 126, dir + ": is a directory"},
		{"not executable", ptyproc.Spec{Path: plain}, 126, plain + ": permission denied"},
		{"not executable in PATH", ptyproc.Spec{Path: "plain", Env: []string{"PATH=" + dir}}, 126,
			"plain: permission denied"},
		{"no interpreter", ptyproc.Spec{Path: orphan}, 126, orphan + ": its interpreter or loader was not found"},
		{"no program at all", ptyproc.Spec{Path: junk}, 126, junk + ": exec format error"},
		{"bad directory", ptyproc.Spec{Path: "sh", Dir: "/no/dir"}, 126,
			"/no/dir: cannot be the working directory: no such file or directory"},
		{"file as directory", ptyproc.Spec{Path: "sh", Dir: plain}, 126,
			plain + ": cannot be the working directory: not a directory"},
		{"NUL in argument", ptyproc.Spec{Path: "sh", Argv: []string{"sh", "a\x00b"}}, 126, "sh: invalid argument"},
		{"control characters", ptyproc.Spec{Path: "a\x1b[31m\nb"}, 127, "a?[31m?b: not found"},
		{"relative PATH", ptyproc.Spec{Path: "orphan", Dir: dir, Env: []string{"PATH=:."}}, 127, "orphan: not found"},
	}
	eachMode(t, func(t *testing.T, m mode) {
		for _, tt := range tests {
			tt.spec.Pty = m.pty
			p, err := ptyproc.Start(tt.spec)
			if p != nil {
				t.Fatalf("%s: started", tt.name)
			}
			var se *ptyproc.StartError
			if !errors.As(err, &se) {
				t.Fatalf("%s: %v is no StartError", tt.name, err)
			}
			if se.Code != tt.code || se.Error() != tt.text {
				t.Errorf("%s: got %d %q, want %d %q", tt.name, se.Code, se.Error(), tt.code, tt.text)
			}
		}
	})
}

func TestStartErrorOfEndlessNameIsShort(t *testing.T) {
	_, err := ptyproc.Start(ptyproc.Spec{Path: strings.Repeat("x", 100000)})
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("message of %d bytes", len(err.Error()))
	}
}

func TestSpecReachesProcess(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$PWD $A $(tr '\\0' , </proc/$$/cmdline)\"\n"
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(spec ptyproc.Spec) string {
		t.Helper()
		p, err := ptyproc.Start(spec)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		defer p.Wait()
		return strings.TrimSpace(readAll(t, p.Outputs()[0]))
	}
	env := []string{"A=old", "PATH=/no/dir:" + os.Getenv("PATH") + ":" + dir, "A=new"}

	// Found in the PATH of Env, in Dir, the last of two equal keys wins.
	want := "/ new /bin/sh," + dir + "/tool,x,"
	if got := run(ptyproc.Spec{Path: "tool", Argv: []string{"ignored for scripts", "x"}, Env: env,
		Dir: "/"}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// A relative path is meant from Dir.
	if got := run(ptyproc.Spec{Path: "./tool", Env: env, Dir: dir}); !strings.HasPrefix(got, dir+" new") {
		t.Errorf("got %q", got)
	}
	// argv[0] is free: a login shell.
	if got := run(ptyproc.Spec{Path: "sh", Argv: []string{"-sh", "-c", "echo $0"}, Env: testEnv}); got != "-sh" {
		t.Errorf("argv[0] = %q", got)
	}
	// Nothing is inherited: the environment of this process may hold secrets.
	t.Setenv("PTYPROC_SECRET", "1")
	if got := run(ptyproc.Spec{Path: "env"}); strings.Contains(got, "SECRET") {
		t.Errorf("inherited %q", got)
	}
}
