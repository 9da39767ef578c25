package sshargs_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shell/sshargs"
)

func containsSecret(text string) bool { return strings.Contains(text, "secret") }

func splitNul(line string) []string { return strings.Split(line, "\x00") }

func TestKeywordsInEverySpelling(t *testing.T) {
	for _, args := range [][]string{
		{"-o", "User=eva", "p"},
		{"-oUser=eva", "p"},
		{"-o", "User eva", "p"},
		{"-oUser eva", "p"},
		{"-o", " uSER =  eva ", "p"},
		{"-o", "user\teva", "p"},
		{"-o", "User= eva", "p"},
		{"-no", "User=eva", "p"},
		{"-noUser=eva", "p"},
		{"p", "-oUser=eva"},
		{"-o", `User="eva"`, "p"},
	} {
		if got := parse(t, args...); got.User != is("eva") {
			t.Errorf("%q: %+v", args, got.User)
		}
	}
}

func TestKeywordValuesAreCutAsSshCutsThem(t *testing.T) {
	for _, tt := range []struct {
		option string
		want   sshargs.Args
	}{
		{"BatchMode=yes", sshargs.Args{BatchMode: true}},
		{"batchmode TRUE", sshargs.Args{BatchMode: true}},
		{"StdinNull=yes", sshargs.Args{StdinNull: true}},
		{"ConnectTimeout=5", sshargs.Args{ConnectTimeout: is(5 * time.Second)}},
		{"ConnectTimeout=1m30s", sshargs.Args{ConnectTimeout: is(90 * time.Second)}},
		{"ConnectTimeout=none", sshargs.Args{ConnectTimeout: is(time.Duration(0))}},
		{"ServerAliveInterval 15", sshargs.Args{ServerAliveInterval: is(15 * time.Second)}},
		{"ServerAliveCountMax=0", sshargs.Args{ServerAliveCountMax: is(0)}},
		{"RequestTTY=force", sshargs.Args{TTY: is(sshargs.TTYForce)}},
		{"RequestTTY=auto", sshargs.Args{TTY: is(sshargs.TTYAuto)}},
		{"LogLevel=debug1", sshargs.Args{LogLevel: is(sshargs.LogDebug)}},
		{"LogLevel=DEBUG3", sshargs.Args{LogLevel: is(sshargs.LogDebug3)}},
		{"Port = 33", sshargs.Args{Port: is(33)}},
		{"EscapeChar=none", sshargs.Args{Escape: is(sshargs.Escape{None: true})}},
		{"EscapeChar=^]", sshargs.Args{Escape: is(sshargs.Escape{Char: 0x1d})}},
		{"EscapeChar==", sshargs.Args{Escape: is(sshargs.Escape{Char: '='})}},
		{"RemoteCommand=none", sshargs.Args{}},
		{"SessionType=default", sshargs.Args{}},
		{`User="a b"`, sshargs.Args{User: is("a b")}},
		{`User=a\ b`, sshargs.Args{User: is("a b")}},
		{`User=DOM\eva`, sshargs.Args{User: is(`DOM\eva`)}},
		{"User==x", sshargs.Args{User: is("=x")}},
		{"SetEnv=A=2,3", sshargs.Args{SetEnv: []sshargs.EnvVar{{Name: "A", Value: "2,3"}}}},
		{"SetEnv=A=", sshargs.Args{SetEnv: []sshargs.EnvVar{{Name: "A"}}}},
		{"SetEnv A=b=c", sshargs.Args{SetEnv: []sshargs.EnvVar{{Name: "A", Value: "b=c"}}}},
		{`SetEnv=A="x y" B='2,"3"' C=it\'s A=4`, sshargs.Args{SetEnv: []sshargs.EnvVar{
			{Name: "A", Value: "x y"}, {Name: "B", Value: `2,"3"`}, {Name: "C", Value: "it's"}}}},
		{"SendEnv=LANG LC_*  -LC_TIME", sshargs.Args{SendEnv: []string{"LANG", "LC_*", "-LC_TIME"}}},
		{"ProxyJump=none", sshargs.Args{Notes: notes("-o ProxyJump", "none")}},
		// What is not understood is kept as it came.
		{`Ciphers = a,b "c  d"`, sshargs.Args{Notes: notes("-o Ciphers", `a,b "c  d"`)}},
		{`Foo "it's`, sshargs.Args{Notes: notes("-o Foo", `"it's`)}},
		{"Foo", sshargs.Args{Notes: notes("-o Foo", "")}},
	} {
		tt.want.Alias, tt.want.Path = "p", "p"
		check(t, []string{"-o", tt.option, "p"}, tt.want)
	}
}

func TestBadKeywordValuesNameTheKey(t *testing.T) {
	for _, tt := range []struct{ option, part string }{
		{"ConnectTimeout=x", `invalid duration "x"`},
		{"ConnectTimeout=-5", `"-5"`},
		{"ConnectTimeout=5x", `"5x"`},
		{"ConnectTimeout=99999999999", `"99999999999"`},
		{"ConnectTimeout=99999w", `"99999w"`},
		{"ConnectTimeout", "no value"},
		{"ConnectTimeout=", "no value"},
		{"ServerAliveInterval=s", `"s"`},
		{"ServerAliveCountMax=-1", `"-1"`},
		{"BatchMode=maybe", `"maybe"`},
		{"BatchMode yes no", `unexpected "no"`},
		{"RequestTTY=maybe", `"maybe"`},
		{"LogLevel=loud", `"loud"`},
		{"LogLevel=1", `"1"`},
		{"Port=http", `"http"`},
		{`User=""`, "empty"},
		{"EscapeChar=ab", `"ab"`},
		{"SendEnv=A=1", `"A=1"`},
		{"SendEnv=-", "empty"},
		{"SetEnv=A", `"A"`},
		{"SetEnv==1", `"=1"`},
		{"SetEnv=A=it's", `\'`},
		{"RemoteCommand=ls -l", "none"},
		{"SessionType=none", `"none"`},
		{"LocalForward=1 h:2", "forwards"},
		{"ProxyJump=jump", "hosts"},
		{"ProxyCommand=nc %h", "hosts"},
		{"ForkAfterAuthentication=yes", "background"},
	} {
		key, _, _ := strings.Cut(strings.ReplaceAll(tt.option, " ", "="), "=")
		refuses(t, []string{"-o", tt.option, "p"}, "-o "+key, tt.part)
	}
	refuses(t, []string{"-o", "", "p"}, "-o")
	refuses(t, []string{"-o=x", "p"}, "-o")
}

// Each line was given to `ssh -G` of OpenSSH 9.2, too.
func TestWhichOfTwoValuesCounts(t *testing.T) {
	for _, tt := range []struct {
		args string
		want sshargs.Args
	}{
		{"-oUser=a -l b c@p", sshargs.Args{User: is("a")}},
		{"-l b -oUser=a p", sshargs.Args{User: is("b")}},
		{"c@p -l b", sshargs.Args{User: is("c")}},
		{"-l b c@p", sshargs.Args{User: is("b")}},
		{"-oPort=33 -p 44 p", sshargs.Args{Port: is(33)}},
		{"-p 44 -oPort=33 p", sshargs.Args{Port: is(44)}},
		{"-oConnectTimeout=1 -oconnecttimeout=2 p", sshargs.Args{ConnectTimeout: is(time.Second)}},
		{"-oBatchMode=no -oBatchMode=yes p", sshargs.Args{}},
		{"-oBatchMode=yes -oBatchMode=no p", sshargs.Args{BatchMode: true}},
		{"-oStdinNull=no -n p", sshargs.Args{StdinNull: true}},
		{"-T -t p", sshargs.Args{TTY: is(sshargs.TTYYes)}},
		{"-t -T p", sshargs.Args{TTY: is(sshargs.TTYNo)}},
		{"-oRequestTTY=no -t p", sshargs.Args{TTY: is(sshargs.TTYYes)}},
		{"-t -oRequestTTY=no p", sshargs.Args{TTY: is(sshargs.TTYYes)}},
		{"-oRequestTTY=auto -oRequestTTY=no p", sshargs.Args{TTY: is(sshargs.TTYAuto)}},
		{"-oEscapeChar=none -e x p", sshargs.Args{Escape: is(sshargs.Escape{Char: 'x'})}},
		{"-e x -oEscapeChar=none p", sshargs.Args{Escape: is(sshargs.Escape{Char: 'x'})}},
		{"-e x -e y p", sshargs.Args{Escape: is(sshargs.Escape{Char: 'y'})}},
		{"-oLogLevel=error -v p", sshargs.Args{LogLevel: is(sshargs.LogDebug)}},
		{"-v -oLogLevel=error p", sshargs.Args{LogLevel: is(sshargs.LogDebug)}},
		{"-q -v p", sshargs.Args{LogLevel: is(sshargs.LogDebug)}},
		{"-v -q p", sshargs.Args{LogLevel: is(sshargs.LogQuiet)}},
		{"-v -q -v p", sshargs.Args{LogLevel: is(sshargs.LogFatal)}},
		{"-vvvvv p", sshargs.Args{LogLevel: is(sshargs.LogDebug3)}},
	} {
		tt.want.Alias, tt.want.Path = "p", "p"
		check(t, words(tt.args), tt.want)
	}
}

func TestEveryListKeywordAddsUp(t *testing.T) {
	got := parse(t, words("-oSendEnv=A -oSendEnv=-B -oSetEnv=X=1 -oSetEnv=Y=2 -oSetEnv=X=3 p")...)
	if !slices.Equal(got.SendEnv, []string{"A", "-B"}) ||
		!reflect.DeepEqual(got.SetEnv, []sshargs.EnvVar{{Name: "X", Value: "1"}, {Name: "Y", Value: "2"}}) {
		t.Errorf("%q, %q", got.SendEnv, got.SetEnv)
	}
}
