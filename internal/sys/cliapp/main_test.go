package cliapp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// runApp runs an application named shvtest whose action is action.
func runApp(t *testing.T, action cli.ActionFunc, args []string, options ...Option) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	app := &cli.App{
		Name: "shvtest", Usage: "test cliapp", Writer: &out, ErrWriter: &errs,
		Flags: append(append([]cli.Flag{
			&cli.StringSliceFlag{Name: "listen"},
			&cli.IntFlag{Name: "number"},
			&cli.DurationFlag{Name: "time"},
		}, LogFlags("info")...), append(LoginFlags(), ConfigFlags()...)...),
		Action: action,
	}
	code = Main(app, append([]string{"shvtest"}, args...), options...)
	return code, out.String(), errs.String()
}

func succeed(*cli.Context) error { return nil }

func TestUsageErrorOfACommandIsOneLineOnStderr(t *testing.T) {
	for option, says := range map[string]string{
		"--nonsense": "unknown option --nonsense",
		"--socket":   "option --socket goes before status",
	} {
		var out, errs bytes.Buffer
		app := &cli.App{
			Name: "shvtest", Writer: &out, ErrWriter: &errs,
			Flags:    []cli.Flag{&cli.StringFlag{Name: "socket"}},
			Commands: []*cli.Command{{Name: "status", Action: succeed}},
		}
		code := Main(app, []string{"shvtest", "status", option, "x"})
		want := "shvtest: " + says + "; see shvtest --help\n"
		if code != 2 || out.Len() > 0 || errs.String() != want {
			t.Errorf("code %d, stdout %q, stderr %q; want 2, nothing and %q", code, out.String(), errs.String(), want)
		}
	}
}

func TestUsageErrorIsOneLineOnStderr(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown long", []string{"--nonsense"}, "unknown option --nonsense"},
		{"unknown short", []string{"-x"}, "unknown option -x"},
		{"value missing", []string{"--url"}, "option --url needs a value"},
		{"bad number", []string{"--number", "many"}, `option --number: invalid number "many"`},
		{"bad time", []string{"--time", "5"}, `option --time: invalid duration "5" (want 10s or 1m30s)`},
		{"bad switch", []string{"--verbose=much"}, `option --verbose: invalid value "much" (want true or false)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for want, codes := range map[int]Codes{2: defaultCodes(), 255: SSHCodes()} {
				code, stdout, stderr := runApp(t, succeed, tt.args, WithCodes(codes))
				if code != want {
					t.Errorf("exit code %d, want %d", code, want)
				}
				if stdout != "" {
					t.Errorf("stdout %q, want nothing", stdout)
				}
				if line := "shvtest: " + tt.want + "; see shvtest --help\n"; stderr != line {
					t.Errorf("stderr %q, want %q", stderr, line)
				}
			}
		})
	}
}

func TestEndingsHaveTheirCodeAndLine(t *testing.T) {
	child := exec.Command("sh", "-c", "exit 3").Run()
	for _, tt := range []struct {
		name    string
		err     error
		code    int
		sshCode int
		stderr  string
	}{
		{"success", nil, 0, 0, ""},
		{"failure", errors.New("link lost"), 1, 255, "shvtest: link lost\n"},
		{"quiet remote code", Exit{Code: 42}, 42, 42, ""},
		{"quiet zero", Exit{}, 0, 0, ""},
		{"pointer", &Exit{Code: 9, Err: errors.New("no")}, 9, 9, "shvtest: no\n"},
		{"wrapped", fmt.Errorf("shell: %w", Exit{Code: 7, Err: errors.New("gone")}), 7, 7, "shvtest: shell: gone\n"},
		{"cli.Exit does not exit", cli.Exit("bad", 5), 5, 5, "shvtest: bad\n"},
		// Its ExitCode method is that of a child, not a choice of the program.
		{"child process", fmt.Errorf("helper: %w", child), 1, 255, "shvtest: helper: exit status 3\n"},
		{"usage", Usagef("no path given"), 2, 255, "shvtest: no path given; see shvtest --help\n"},
		{"several lines", errors.New("one\n\ntwo\n"), 1, 255, "shvtest: one; two\n"},
		// The text of a device must not drive the user's terminal.
		{"escape sequence", errors.New("a\x1b[2Jb\x9bc"), 1, 255, "shvtest: a\\x1b[2Jb\\x9bc\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			action := func(*cli.Context) error { return tt.err }
			code, stdout, stderr := runApp(t, action, nil)
			if code != tt.code || stdout != "" || stderr != tt.stderr {
				t.Errorf("got %d, %q, %q; want %d, nothing, %q", code, stdout, stderr, tt.code, tt.stderr)
			}
			if code, _, _ := runApp(t, action, nil, WithCodes(SSHCodes())); code != tt.sshCode {
				t.Errorf("with ssh's codes %d, want %d", code, tt.sshCode)
			}
		})
	}
}

func TestVersionAndHelpGoToStdout(t *testing.T) {
	ran := func(*cli.Context) error { return errors.New("the action ran") }
	code, stdout, stderr := runApp(t, ran, []string{"--version"})
	if want := versionText("shvtest") + "\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("--version: %d, %q, %q; want 0, %q, nothing", code, stdout, stderr, want)
	}
	for _, flag := range []string{"--help", "-h"} {
		code, stdout, stderr = runApp(t, ran, []string{flag})
		if code != 0 || !strings.Contains(stdout, "\nOPTIONS:\n") || !strings.Contains(stdout, "--version") || stderr != "" {
			t.Errorf("%s: %d, %q, %q", flag, code, stdout, stderr)
		}
		if strings.Contains(stdout, "--password value") {
			t.Errorf("%s shows the password flag, whose value everyone can list", flag)
		}
	}
}

// `shvrsh help` opens a shell on a device, and `ls -la` keeps its own options.
func TestArgumentsReachTheActionUntouched(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"h"}, {"version"}, {"test/agent", "ls", "-la", "--url", "x"}} {
		var got []string
		code, _, stderr := runApp(t, func(c *cli.Context) error {
			got = c.Args().Slice()
			return nil
		}, args)
		if code != 0 || strings.Join(got, " ") != strings.Join(args, " ") {
			t.Errorf("%q arrived as %q, code %d, %q", args, got, code, stderr)
		}
	}
}

func TestCommaInURLDoesNotSplitIt(t *testing.T) {
	runApp(t, func(c *cli.Context) error {
		if got := c.StringSlice("listen"); len(got) != 2 || got[0] != "tcp://a?x=1,2" {
			t.Errorf("got %q, want the two URLs", got)
		}
		return nil
	}, []string{"--listen", "tcp://a?x=1,2", "--listen", "tcp://b"})
}

func TestPanicIsOneLineUnlessDebugging(t *testing.T) {
	action := func(*cli.Context) error { panic("boom\nsecond line") }
	t.Setenv(debugEnv, "")
	code, _, stderr := runApp(t, action, nil)
	want := "shvtest: internal error: panic: boom; second line (SHV_DEBUG=1 shows the stack)\n"
	if code != 70 || stderr != want {
		t.Errorf("got %d, %q; want 70, %q", code, stderr, want)
	}
	t.Setenv(debugEnv, "1")
	code, _, stderr = runApp(t, action, nil, WithCodes(SSHCodes()))
	if code != 255 || !strings.Contains(stderr, "main_test.go") {
		t.Errorf("got %d, %q; want 255 and a stack", code, stderr)
	}
}

func TestSignalEndsTheContextAndNamesItself(t *testing.T) {
	wait := func(c *cli.Context) error {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR1); err != nil {
			return err
		}
		select {
		case <-c.Context.Done():
			return fmt.Errorf("serve: %w", c.Context.Err())
		case <-time.After(10 * time.Second):
			return errors.New("the signal did not arrive")
		}
	}
	code, _, stderr := runApp(t, wait, nil, WithSignals(syscall.SIGUSR1))
	if want := 128 + int(syscall.SIGUSR1); code != want || !strings.HasPrefix(stderr, "shvtest: ended by ") {
		t.Errorf("got %d, %q; want %d", code, stderr, want)
	}
	// A daemon that was told to stop and did so has not failed.
	calm := func(c *cli.Context) error {
		_ = wait(c)
		return nil
	}
	if code, _, stderr := runApp(t, calm, nil, WithSignals(syscall.SIGUSR1)); code != 0 || stderr != "" {
		t.Errorf("got %d, %q; want 0 and nothing", code, stderr)
	}
}

func TestContextDoesNotOutliveMain(t *testing.T) {
	var ctx context.Context
	runApp(t, func(c *cli.Context) error {
		ctx = c.Context
		return nil
	}, nil)
	if ctx.Err() == nil {
		t.Error("the context is alive after Main returned")
	}
}
