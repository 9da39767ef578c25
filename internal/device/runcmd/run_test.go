package runcmd_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"shvtools/internal/device/runcmd"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline bounds the wait for a process that has to end.
const deadline = 30 * time.Second

var host = runcmd.Host{Environ: []string{"PATH=" + os.Getenv("PATH"), "FROM_AGENT=yes"}, Output: 1 << 20}

func param(t testing.TB, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// outcome is a result in CPON, or the code and text of an error.
func outcome(v chainpack.Value, err error) string {
	if err != nil {
		e := rpc.AsError(err)
		return strconv.Itoa(int(e.Code)) + " " + e.Message
	}
	return cpon.String(v)
}

func run(t testing.TB, ctx context.Context, h runcmd.Host, text string) string {
	t.Helper()
	c, err := runcmd.ParseCall(param(t, text))
	if err != nil {
		return outcome(chainpack.Null(), err)
	}
	return outcome(h.Run(ctx, c))
}

const (
	notStarted = "8 Failed to start process (file not found, resource error)"
	crashed    = "8 Process crashed!"
)

func TestShapesOfRunCmd(t *testing.T) {
	for text, want := range map[string]string{
		`"true"`:           `""`,
		`"pwd"`:            cpon.String(chainpack.String(workDir(t) + "\n")),
		`"ls -la /"`:       notStarted, // the whole String is the program
		`"nosuchprogram"`:  notStarted,
		`"/"`:              notStarted,
		`""`:               notStarted,
		`null`:             notStarted,
		`5`:                notStarted,
		`{"a":1}`:          notStarted,
		`[]`:               notStarted,
		`[1,2]`:            notStarted,
		`[["-l"]]`:         notStarted,
		`["true"]`:         `[0]`,
		`["false"]`:        `[1]`,
		`["true","false"]`: `[1,1]`, // the last one wins
		`["sh",["-c","echo out; echo err >&2; exit 3"],1,2]`:               `[3,"out\n","err\n"]`,
		`[2,"sh",1,["-c","echo out; echo err >&2; exit 3"]]`:               `["err\n",3,"out\n"]`,
		`[1,1,"sh",["-c","echo a"]]`:                                       `["a\n","a\n",0]`,
		`["sh",["-c","exit 255"],1u]`:                                      `[255,""]`,
		`["sh",["-c","echo lost"],["-c","echo last"],1]`:                   `[0,"last\n"]`,
		`["sh",["-c","echo $FROM_AGENT"],1]`:                               `[0,"yes\n"]`,
		`["sh",["-c","echo $FROM_AGENT$A"],1,{"A":"b"}]`:                   `[0,"b\n"]`, // replaces
		`["sh",["-c","echo $FROM_AGENT$A"],1,{}]`:                          `[0,"\n"]`,
		`["sh",["-c","echo $A $B"],1,{"A":5,"B":"x y"}]`:                   `[0,"5 x y\n"]`,
		`["echo",["a b",7,-1.5,true],1]`:                                   `[0,"a b 7 -1.5 true\n"]`,
		`["cat",1]`:                                                        `[0,""]`,          // stdin is at its end
		`["sh",["-c","printf 'a\\000b\\377'"],1]`:                          `[0,b"a\00b\ff"]`, // no UTF-8
		`["sh",["-c","printf '\\305\\231\\000'; printf '\\305' >&2"],1,2]`: "[0,\"ř\\0\",b\"\\c5\"]",
		`["sh",["-c","kill -9 $$"]]`:                                       crashed,
		`["sh",["-c","echo x; kill -TERM $$"],1]`:                          crashed,
		`["ls",7]`:    `8 Invalid request parameter: 7`,
		`["ls",null]`: `8 Invalid request parameter: null`,
		`["ls",1.5]`:  `8 Invalid request parameter: 1.5`,
		`["sh",["-c","sleep 100 >/dev/null 2>&1 & echo $!"],1,{"MARK":"x"}]`: "*", // ends at once; a job runs on
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			got := run(t, ctx, host, text)
			if want == "*" {
				pid, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(got, `[0,"`), `\n"]`))
				if pid == 0 || unix.Kill(pid, 0) != nil {
					t.Errorf("got %s", got)
				} else {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
				return
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func workDir(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A command whose param ends in an error anyway must not run.
func TestBadParamRunsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ran")
	run(t, t.Context(), host, `["touch",["`+file+`"],7]`)
	if _, err := os.Stat(file); err == nil {
		t.Error("it ran")
	}
}

func TestProgramsAreFoundInOurPathWhateverTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "onlyhere"), []byte("#!/bin/sh\necho found\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := host
	h.Search = dir
	if got := run(t, t.Context(), h, `["onlyhere",1,{"A":"b"}]`); got != `[0,"found\n"]` {
		t.Errorf("got %s", got)
	}
}

func TestOutputIsLimited(t *testing.T) {
	h := host
	h.Output = 1000
	const over = "8 the output is longer than 1000 bytes, the limit on this device; the program was ended"
	for text, want := range map[string]string{
		`["sh",["-c","head -c 1000 /dev/zero | tr '\\0' x"],1]`:                 "exact",
		`["sh",["-c","head -c 1001 /dev/zero"],1]`:                              over,
		`["sh",["-c","head -c 600 /dev/zero; head -c 600 /dev/zero >&2"],1,2]`:  over, // together
		`["sh",["-c","head -c 600 /dev/zero"],1,1]`:                             over, // it is sent twice
		`["sh",["-c","head -c 600 /dev/zero; head -c 100000 /dev/zero >&2"],1]`: "exact",
		`["sh",["-c","head -c 1000000 /dev/zero"]]`:                             "exact",
		`["sh",["-c","yes"],1]`:                                                 over,
		`["sh",["-c","trap '' HUP PIPE; while :; do echo y; done"],1]`:          over,
		`"yes"`: over,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			switch got := run(t, ctx, h, text); {
			case want == over && got != over:
				t.Errorf("got %.200s", got)
			case want == "exact" && !strings.HasPrefix(got, "[0"):
				t.Errorf("got %.200s", got)
			}
		})
	}
}

// What a program leaves in its process group must be gone: jobs, one that ignores
// the hangup, one that never stops writing.
func TestEndOfTheContextEndsTheProcessGroup(t *testing.T) {
	cause := errors.New("it is over")
	for name, script := range map[string]string{
		"waits":       `echo $$ > PID; sleep 1000`,
		"jobs":        `sleep 1000 & sleep 1000 & echo $$ > PID; wait`,
		"ignores HUP": `trap '' HUP; echo $$ > PID; while :; do sleep 1; done`,
		"writes on":   `echo $$ > PID; while :; do echo y; echo z >&2; done`,
		"stopped":     `echo $$ > PID; kill -STOP $$`,
		"only jobs":   `(trap '' HUP; sleep 1000) & echo $$ > PID; exec sleep 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(deadline, func() { cancel(errors.New("too late")) })
			done := make(chan string, 1)
			call := runcmd.Call{Text: "sh", Args: []string{"-c", strings.ReplaceAll(script, "PID", file)}}
			go func() {
				v, err := host.Run(ctx, call)
				done <- outcome(v, err)
			}()
			group := pidIn(t, file)
			cancel(cause)
			if got := <-done; got != "8 it is over" {
				t.Errorf("got %s", got)
			}
			if left := living(t, group); len(left) > 0 {
				t.Errorf("processes %q are left", left)
				_ = unix.Kill(-group, unix.SIGKILL)
			}
		})
	}
}

// living returns the processes of a group, without those that only wait to be reaped: the
// first process of a container may never reap them.
func living(t *testing.T, group int) (left []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		t.Fatalf("no processes in /proc: %v", err)
	}
	for _, file := range files {
		stat, _ := os.ReadFile(file)
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 2 && f[0] != "Z" && f[2] == strconv.Itoa(group) {
			left = append(left, string(stat[:min(40, len(stat))]))
		}
	}
	return left
}

// pidIn waits for a process to write its id.
func pidIn(t *testing.T, file string) int {
	t.Helper()
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		text, _ := os.ReadFile(file)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && strings.HasSuffix(string(text), "\n") {
			return pid
		}
	}
	t.Fatal("the process did not start")
	return 0
}

func TestNothingStartsForACallThatIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "ran")
	if got := run(t, ctx, host, `["touch",["`+file+`"]]`); got != "8 context canceled" {
		t.Errorf("got %s", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it ran")
	}
}

func FuzzParseCall(f *testing.F) {
	for _, seed := range []string{`"ls"`, `["sh",["-c","x"],1,2,{"A":"b"}]`, `[[[]],{"":null},1.5,-1]`, `null`, `i{1:2}`} {
		f.Add(chainpack.Append(nil, param(f, seed)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, _, err := chainpack.Decode(b, chainpack.Limits{})
		if err != nil {
			return
		}
		if c, err := runcmd.ParseCall(v); err == nil && v.Kind() != chainpack.KindString && v.Kind() != chainpack.KindList {
			t.Errorf("%s: %+v", cpon.String(v), c)
		}
	})
}
