package sshargs_test

import (
	"testing"
	"time"

	"shvtools/internal/shell/sshargs"
)

func TestCommandIsUntouchedWhereverOptionsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want sshargs.Args
	}{
		{"no command", words("p"), sshargs.Args{}},
		{"command's own options", words("p ls -l --help -- x"), sshargs.Args{Command: words("ls -l --help -- x")}},
		{"options behind the path", words("p -l user -tt cmd -v"),
			sshargs.Args{User: is("user"), TTY: is(sshargs.TTYForce), Command: words("cmd -v")}},
		{"-- behind the path", words("p -T -- -l user"), sshargs.Args{TTY: is(sshargs.TTYNo), Command: words("-l user")}},
		{"-- behind the command", words("p cmd -- -l"), sshargs.Args{Command: words("cmd -- -l")}},
		{"second --", words("p -- -- x"), sshargs.Args{Command: words("-- x")}},
		{"-- before the path ends them for good", words("-n -- p -l user"),
			sshargs.Args{StdinNull: true, Command: words("-l user")}},
		{"-- before the path, and a second one", words("-- p -- x"), sshargs.Args{Command: words("-- x")}},
		{"-- as a value", words("-l -- p -n"), sshargs.Args{User: is("--"), StdinNull: true}},
		{"empty words", []string{"p", "", "x"}, sshargs.Args{Command: []string{"", "x"}}},
		{"a dash alone", words("p - -l"), sshargs.Args{Command: words("- -l")}},
		{"help of the command", words("p -- --help"), sshargs.Args{Command: words("--help")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Alias, tt.want.Path = "p", "p"
			check(t, tt.args, tt.want)
		})
	}
}

func TestShortOptionsCombineAndAttach(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want sshargs.Args
	}{
		{"flags", words("-qT p"), sshargs.Args{LogLevel: is(sshargs.LogQuiet), TTY: is(sshargs.TTYNo)}},
		{"-tt", words("-tt p"), sshargs.Args{TTY: is(sshargs.TTYForce)}},
		{"-t -t", words("-t p -t"), sshargs.Args{TTY: is(sshargs.TTYForce)}},
		{"-ttt", words("-ttt p"), sshargs.Args{TTY: is(sshargs.TTYYes)}}, // as ssh has it
		{"value attached", words("-lroot p"), sshargs.Args{User: is("root")}},
		{"value behind flags", words("-nlroot p"), sshargs.Args{StdinNull: true, User: is("root")}},
		{"value in the next word", words("-nl root p"), sshargs.Args{StdinNull: true, User: is("root")}},
		{"value like an option", words("-l -n p"), sshargs.Args{User: is("-n")}},
		{"value with =", words("-l=x p"), sshargs.Args{User: is("=x")}},
		{"ignored value is not the path", words("-i key -c aes -m mac -b addr -S none -E log -I lib -B eth0 p"),
			sshargs.Args{Notes: notes(
				"-i", "key", "-c", "aes", "-m", "mac", "-b", "addr", "-S", "none", "-E", "log", "-I", "lib", "-B", "eth0")}},
		{"ignored flags", words("-xXC46aAkKgYyM12 p"), sshargs.Args{Notes: notes("-x", "", "-X", "", "-C", "", "-4", "",
			"-6", "", "-a", "", "-A", "", "-k", "", "-K", "", "-g", "", "-Y", "", "-y", "", "-M", "", "-1", "", "-2", "")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Alias, tt.want.Path = "p", "p"
			check(t, tt.args, tt.want)
		})
	}
}

func TestLongOptionsOfBothToolsInBothSpellings(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want sshargs.Args
	}{
		{"ours",
			words("--url tcp://b --user eva --password x --password-file f --log-level debug --log-format json " +
				"--config c --allow-unknown-status --allow-plaintext --print-config --verbose p"),
			sshargs.Args{URL: "tcp://b", User: is("eva"), Password: "x", PasswordFile: "f", ShvLogLevel: "debug",
				LogFormat: "json",
				Config:    "c", AllowUnknownStatus: true, AllowPlaintext: true, PrintConfig: true, LogLevel: is(sshargs.LogDebug)}},
		{"attached", words("--url=tcp://b?x=y --user=eva --config= p"), sshargs.Args{URL: "tcp://b?x=y", User: is("eva")}},
		{"behind the path", words("p --url tcp://b cmd --url"), sshargs.Args{URL: "tcp://b", Command: words("cmd --url")}},
		{"the last counts", words("--url a --url b p"), sshargs.Args{URL: "b"}},
		{"C++",
			words("--tunnel-shvPath p --tunnel-method launchRexec --server-host broker --server-port 4000 " +
				"-u eva --password x --rto 7"),
			sshargs.Args{TunnelMethod: "launchRexec", ServerHost: "broker", Port: is(4000), User: is("eva"), Password: "x",
				RPCTimeout: is(7 * time.Second)}},
		{"C++, long names",
			words("--tunnel-shvPath=p --rpc-time-out=7 --server-scheme tcp --sec-type none " +
				"--protocol-type chainpack --lt SHA1 --hbi 60"),
			sshargs.Args{ServerScheme: "tcp", RPCTimeout: is(7 * time.Second), Notes: notes("--lt", "SHA1", "--hbi", "60")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Alias, tt.want.Path = "p", "p"
			check(t, tt.args, tt.want)
		})
	}
}

func TestHelpAndVersionNeedNoPathAndSurviveWhatFollows(t *testing.T) {
	for _, args := range [][]string{words("--help"), words("-h"), words("-vh -L 1:2:3"), words("p --help"),
		words("-n --help --bogus")} {
		if got := parse(t, args...); !got.Help || got.Version {
			t.Errorf("%q: %+v", args, got)
		}
	}
	for _, args := range [][]string{words("--version"), words("-V"), words("-V --help"), words("p -V x")} {
		if got := parse(t, args...); !got.Version || got.Help {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestErrorsNameTheOption(t *testing.T) {
	for _, tt := range []struct {
		args  []string
		parts []string
	}{
		{nil, words("PATH missing")},
		{words("-n"), words("PATH missing")},
		{words("--"), words("PATH missing")},
		{[]string{""}, words("PATH missing")},
		{words("-Z p"), words("unknown -Z")},
		{words("-qQ p"), words("unknown -Q")},
		{words("-é p"), words("unknown -é")},
		{words("--bogus=secret p"), words("unknown --bogus")},
		{words("--tunnel-shvpath p"), words("unknown --tunnel-shvpath")},
		{words("-l"), words("-l value")},
		{words("p -o"), words("-o value")},
		{words("--url"), words("--url value")},
		{words("--version=1"), words("--version value")},
		{words("-N p"), words("-N forwarding")},
		{words("-f p"), words("-f background")},
		{words("-fN p"), words("-f background")},
		{words("-L 1:h:2 p"), words("-L forwards")},
		{words("-L1:h:2 p"), words("-L forwards")},
		{words("-R 1:h:2 p"), words("-R forwards")},
		{words("-D 1080 p"), words("-D forwards")},
		{words("-W h:22 p"), words("-W forwards")},
		{words("-w any p"), words("-w forwards")},
		{words("-J jump p"), words("-J hosts")},
		{words("p -J jump cmd"), words("-J hosts")},
		{words("-O exit p"), words("-O")},
		{words("-p 0 p"), []string{"-p", `"0"`}},
		{words("-p 65536 p"), []string{"-p", `"65536"`}},
		{words("-p ssh p"), []string{"-p", `"ssh"`}},
		{words("--server-port -1 p"), []string{"--server-port", `"-1"`}},
		{[]string{"-l", "", "p"}, words("-l empty")},
		{words("--user= p"), words("--user empty")},
		{words("-e ab p"), []string{"-e", `"ab"`}},
		{words("-e é p"), []string{"-e", `"é"`}},
		{words("--rto soon p"), []string{"--rto", `"soon"`}},
		{words("--sec-type ssl p"), words("--sec-type ssl none")},
		{words("-s p"), words("-s subsystem")},
		{words("--tunnel-shvPath p cmd"), []string{"--tunnel-shvPath", `"cmd"`}},
		{words("--tunnel-shvPath="), words("--tunnel-shvPath empty")},
		{words("@p"), []string{`"@p"`}},
		{words("eva@"), words("PATH")},
		{words("///"), words("PATH")},
		{words("tcp://eva:secret@broker/p"), words("URL --url")},
	} {
		refuses(t, tt.args, tt.parts...)
	}
}

func TestErrorsRepeatNoPassword(t *testing.T) {
	for _, args := range [][]string{words("tcp://eva:secret@broker/p"), words("--pasword=secret p")} {
		if _, err := sshargs.Parse(args); err == nil || containsSecret(err.Error()) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-oSetEnv=A=\"x\x00-l\x00eva@a%2Fb\x00--\x00cmd")
	f.Fuzz(func(t *testing.T, line string) {
		args := splitNul(line)
		got, err := sshargs.Parse(args)
		if err == nil && got.Path == "" && !got.Help && !got.Version && !got.PrintConfig {
			t.Errorf("%q: no path and no error", args)
		}
		if n := len(got.Command); n > 0 && got.Command[n-1] != args[len(args)-1] {
			t.Errorf("%q: command ends with %q", args, got.Command[n-1])
		}
	})
}
