package rexec

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/runas"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
)

const self = "/opt/shv/shvrexec"

var all = policy.Grant{Uses: policy.Uses(), Limits: policy.DefaultLimits()}

func list(words ...string) chainpack.Value {
	var items []chainpack.Value
	for _, word := range words {
		items = append(items, chainpack.String(word))
	}
	return chainpack.List(items...)
}

// What the client's offer asks for takes precedence over what helpers of the base protocol
// would run.
func TestCommand(t *testing.T) {
	t.Parallel()
	me, err := runas.Lookup(&policy.Grant{})
	if err != nil {
		t.Fatal(err)
	}
	shell := filepath.Base(me.Shell)
	for _, tt := range []struct {
		name   string
		method string
		params chainpack.Value
		run    tunnel.Run
		path   string
		argv   []string
		dir    string
	}{
		{"a program", "runCmd", chainpack.String("ls -l"), tunnel.Run{}, "ls -l", []string{"ls -l"}, ""},
		{"with arguments", "runCmd", chainpack.List(chainpack.String("nice"), chainpack.Int(5)), tunnel.Run{}, "nice",
			[]string{"nice", "5"}, ""},
		{"on a terminal", "runPtyCmd", chainpack.List(list("top", "-b"), chainpack.Int(80), chainpack.Int(24)), tunnel.Run{},
			"top", []string{"top", "-b"}, ""},
		{"login shell", "runCmd", list("x"), tunnel.Run{Kind: tunnel.RunShell}, me.Shell, []string{"-" + shell}, me.Home},
		{"another shell", "runCmd", list("x"), tunnel.Run{Kind: tunnel.RunShell, Text: "/bin/ash"}, "/bin/ash",
			[]string{"-ash"}, me.Home},
		{"a line", "runCmd", list("x"), tunnel.Run{Kind: tunnel.RunExec, Text: "a; b"}, me.Shell,
			[]string{shell, "-c", "a; b"}, me.Home},
		{"sftp", "runCmd", list("x"), tunnel.Run{Kind: tunnel.RunSubsystem, Text: "sftp"}, self,
			[]string{"shvrexec", "--sftp-server"}, me.Home},
	} {
		call := helperline.Call{Method: tt.method, Params: tt.params, Ext: tunnel.Ext{Version: 1, Run: tt.run},
			Extended: true}
		spec, _, err := command(helperline.Line{Call: call, Policy: all}, []string{"HOME=/of/agent"}, self)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if spec.Path != tt.path || !slices.Equal(spec.Argv, tt.argv) || spec.Dir != tt.dir {
			t.Errorf("%s: %q %q in %q", tt.name, spec.Path, spec.Argv, spec.Dir)
		}
		if (spec.Pty != nil) != (tt.method == "runPtyCmd") {
			t.Errorf("%s: terminal %v", tt.name, spec.Pty)
		}
	}
}

// A shell that the policy names may be one that keeps its user in: no other takes
// its place.
func TestNoShellButThePolicys(t *testing.T) {
	t.Parallel()
	grant := all
	grant.Shell = "/bin/menu"
	for _, tt := range []struct {
		name   string
		params chainpack.Value
		run    tunnel.Run
		argv   []string
		path   string
	}{
		{"its own", list("x"), tunnel.Run{Kind: tunnel.RunShell}, []string{"-menu"}, "/bin/menu"},
		{"another", list("x"), tunnel.Run{Kind: tunnel.RunShell, Text: "/bin/bash"}, []string{"-menu"}, "/bin/menu"},
		{"of the base protocol", list("/bin/bash"), tunnel.Run{}, []string{"-menu"}, "/bin/menu"},
		{"a line", list("x"), tunnel.Run{Kind: tunnel.RunExec, Text: "a; b"}, []string{"menu", "-c", "a; b"}, "/bin/menu"},
		{"what is no shell, and judged as a command", list("x"), tunnel.Run{Kind: tunnel.RunShell, Text: "/usr/bin/top"},
			[]string{"-top"}, "/usr/bin/top"},
		{"a command", list("top"), tunnel.Run{}, []string{"top"}, "top"},
	} {
		call := helperline.Call{Method: "runPtyCmd", Params: chainpack.List(tt.params, chainpack.Int(80), chainpack.Int(24)),
			Ext: tunnel.Ext{Version: 1, Run: tt.run}, Extended: true}
		spec, _, err := command(helperline.Line{Call: call, Policy: grant}, nil, self)
		if err != nil || spec.Path != tt.path || !slices.Equal(spec.Argv, tt.argv) {
			t.Errorf("%s: %q %q, %v", tt.name, spec.Path, spec.Argv, err)
		}
	}
}

func TestCommandsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method string
		params chainpack.Value
		run    tunnel.Run
		why    string
	}{
		{"runNothing", list("x"), tunnel.Run{}, "runNothing"},
		{"runCmd", chainpack.Null(), tunnel.Run{}, "no program"},
		{"runCmd", chainpack.String(""), tunnel.Run{}, "no program"},
		{"runPtyCmd", chainpack.String("x"), tunnel.Run{}, "columns"},
		{"runCmd", list("x"), tunnel.Run{Kind: tunnel.RunSubsystem, Text: "netconf"}, "'netconf' is not available"},
		{"runCmd", list("x"), tunnel.Run{Kind: tunnel.RunSubsystem, Text: "sftp-server --evil"}, "not available"},
		{"runCmd", list("x"), tunnel.Run{Kind: tunnel.RunSubsystem, Text: ""}, "not available"},
	} {
		call := helperline.Call{Method: tt.method, Params: tt.params, Ext: tunnel.Ext{Version: 1, Run: tt.run},
			Extended: true}
		if _, _, err := command(helperline.Line{Call: call, Policy: all}, nil, self); err == nil ||
			!strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s %+v: %v, want %q", tt.method, tt.run, err, tt.why)
		}
	}
}

// The agent has judged the call; a helper that is given more than its grant must not do it all the same.
func TestTheHelperHoldsTheGrantItself(t *testing.T) {
	t.Parallel()
	few := policy.Grant{Uses: []policy.Use{policy.Commands}, Commands: []policy.Command{{"top"}},
		Limits: policy.Limits{Umask: -1}}
	for _, tt := range []struct {
		name    string
		params  chainpack.Value
		run     tunnel.Run
		allowed bool
	}{
		{"what is listed", list("top"), tunnel.Run{}, true},
		{"another program", list("id"), tunnel.Run{}, false},
		{"an argument", list("top", "-b"), tunnel.Run{}, false},
		{"another line", list("top"), tunnel.Run{Kind: tunnel.RunExec, Text: "id"}, false},
		{"a line for a shell", list("top"), tunnel.Run{Kind: tunnel.RunExec, Text: "top; id"}, false},
		{"a shell", list("top"), tunnel.Run{Kind: tunnel.RunShell}, false},
		{"sftp", list("top"), tunnel.Run{Kind: tunnel.RunSubsystem, Text: "sftp"}, false},
	} {
		call := helperline.Call{Method: "runCmd", Params: tt.params, Ext: tunnel.Ext{Version: 1, Run: tt.run}, Extended: true}
		spec, _, err := command(helperline.Line{Call: call, Policy: few}, []string{"PAGER=less"}, self)
		if (err == nil) != tt.allowed {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil && (!slices.Contains(spec.Env, "LESSSECURE=1") || slices.Contains(spec.Env, "PAGER=less")) {
			t.Errorf("%s: the environment %q", tt.name, spec.Env)
		}
	}
}

func TestEnvironmentOfASession(t *testing.T) {
	t.Parallel()
	offered := []tunnel.EnvVar{{Name: "LC_X", Value: "x"}, {Name: "LD_PRELOAD", Value: "evil"},
		{Name: "PATH", Value: "evil"}, {Name: "HOME", Value: "evil"}}
	call := helperline.Call{Method: "runCmd", Params: list("env"),
		Ext: tunnel.Ext{Version: 1, Run: tunnel.Run{Kind: tunnel.RunExec, Text: "env"}, Env: offered}, Extended: true}
	for _, tt := range []struct {
		allowed []string
		want    bool
	}{{[]string{"LC_*"}, true}, {nil, false}} {
		line := helperline.Line{Call: call,
			Policy: policy.Grant{Uses: policy.Uses(), Limits: policy.Limits{Env: tt.allowed, Umask: -1}}}
		spec, _, err := command(line, []string{"SHV_PASSWORD=secret", "KEPT=1"}, self)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(spec.Env, "LC_X=x"); got != tt.want {
			t.Errorf("allowed %q: %q", tt.allowed, spec.Env)
		}
		text := strings.Join(spec.Env, "\n")
		if strings.Contains(text, "evil") || strings.Contains(text, "secret") || !slices.Contains(spec.Env, "KEPT=1") ||
			!strings.Contains(text, "PATH=/") {
			t.Errorf("environment %q", spec.Env)
		}
	}
}

// A pager or an editor that an allowed command starts is a way to all others.
func TestCommandsOfAListGetPagersThatStartNothing(t *testing.T) {
	t.Parallel()
	c, err := policy.ParseCommand("git log")
	if err != nil {
		t.Fatal(err)
	}
	offered := []tunnel.EnvVar{{Name: "PAGER", Value: "evil"}, {Name: "EDITOR", Value: "evil"}, {Name: "LANG", Value: "C"}}
	call := helperline.Call{Method: "runCmd", Params: list("git"), Extended: true,
		Ext: tunnel.Ext{Version: 1, Run: tunnel.Run{Kind: tunnel.RunExec, Text: "git log"}, Env: offered}}
	grant := policy.Grant{Uses: policy.Uses(), Commands: []policy.Command{c},
		Limits: policy.Limits{Env: []string{"*"}, Umask: -1}}
	agent := []string{"GIT_PAGER=evil", "LESSSECURE=0", "VISUAL=evil", "KEPT=1"}
	spec, _, err := command(helperline.Line{Call: call, Policy: grant}, agent, self)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(policy.SecureEnv(), "KEPT=1", "LANG=C") {
		if !slices.Contains(spec.Env, want) {
			t.Errorf("no %s in %q", want, spec.Env)
		}
	}
	if text := strings.Join(spec.Env, "\n"); strings.Contains(text, "evil") || strings.Contains(text, "LESSSECURE=0") {
		t.Errorf("%q", spec.Env)
	}
	grant.Commands = nil
	if spec, _, err = command(helperline.Line{Call: call, Policy: grant}, agent, self); err != nil ||
		!slices.Contains(spec.Env, "PAGER=evil") || slices.Contains(spec.Env, "LESSSECURE=1") {
		t.Errorf("without a list: %q, %v", spec.Env, err)
	}
	call.Method, call.Params = "runPtyCmd", chainpack.List(list("git"), chainpack.Int(80), chainpack.Int(24))
	grant.Commands = []policy.Command{c}
	spec, missing, err := command(helperline.Line{Call: call, Policy: grant}, agent, self)
	if err != nil || spec.Pty != nil || len(missing) != 1 || !strings.Contains(missing[0], "no terminal") {
		t.Errorf("with a terminal: %+v, %q, %v", spec, missing, err)
	}
	grant.Pty = true
	if spec, missing, err = command(helperline.Line{Call: call, Policy: grant}, agent, self); err != nil ||
		spec.Pty == nil || missing != nil {
		t.Errorf("with pty: true: %+v, %q, %v", spec, missing, err)
	}
}
