package sshargs_test

import (
	"testing"

	"shvtools/internal/shell/sshargs"
)

func notes(pairs ...string) (list []sshargs.Note) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, sshargs.Note{Option: pairs[i], Value: pairs[i+1]})
	}
	return list
}

// The words are what rsync, scp, sftp (OpenSSH 9.2) and git handed to a fake ssh
// that wrote them down; rsync's --sender alone is put together by hand.
func TestEveryCallerOfSshIsUnderstood(t *testing.T) {
	scpNotes := notes("-x", "", "-o PermitLocalCommand", "no", "-o ClearAllForwardings", "yes", "-o ForwardAgent", "no")
	for _, tt := range []struct {
		name string
		args []string
		want sshargs.Args
	}{
		{
			name: "rsync push",
			args: []string{"host", "rsync", "--server", "-logDtpre.iLsfxCIvu", ".", "/p"},
			want: sshargs.Args{Alias: "host", Path: "host",
				Command: []string{"rsync", "--server", "-logDtpre.iLsfxCIvu", ".", "/p"}},
		},
		{
			name: "rsync with a user",
			args: []string{"-l", "user", "host", "rsync", "--server", "--sender", "-logDtpre.iLsfxCIvu", ".", "/p"},
			want: sshargs.Args{Alias: "host", Path: "host", User: is("user"),
				Command: []string{"rsync", "--server", "--sender", "-logDtpre.iLsfxCIvu", ".", "/p"}},
		},
		{
			name: "scp in sftp mode",
			args: []string{"-x", "-oPermitLocalCommand=no", "-oClearAllForwardings=yes", "-oRemoteCommand=none",
				"-oRequestTTY=no", "-oForwardAgent=no", "-l", "eva", "-s", "--", "test%2Fagent", "sftp"},
			want: sshargs.Args{Alias: "test%2Fagent", Path: "test/agent", User: is("eva"),
				TTY: is(sshargs.TTYNo), Subsystem: true, Command: []string{"sftp"}, Notes: scpNotes},
		},
		{
			name: "scp -O push",
			args: []string{"-x", "-oPermitLocalCommand=no", "-oClearAllForwardings=yes", "-oRemoteCommand=none",
				"-oRequestTTY=no", "-oForwardAgent=no", "--", "host", "scp -t /p"},
			want: sshargs.Args{Alias: "host", Path: "host", TTY: is(sshargs.TTYNo),
				Command: []string{"scp -t /p"}, Notes: scpNotes},
		},
		{
			name: "scp -O pull with all its own options",
			args: []string{"-x", "-oPermitLocalCommand=no", "-oClearAllForwardings=yes", "-oRemoteCommand=none",
				"-oRequestTTY=no", "-v", "-4", "-C", "-i", "/tmp/k", "-F", "/dev/null", "-o", "Foo=a,b",
				"-oForwardAgent=no", "-p", "22", "--", "test%2Fagent", "scp -v -f /p"},
			want: sshargs.Args{Alias: "test%2Fagent", Path: "test/agent", TTY: is(sshargs.TTYNo),
				LogLevel: is(sshargs.LogDebug), Config: "/dev/null", Port: is(22),
				Command: []string{"scp -v -f /p"},
				Notes: notes("-x", "", "-o PermitLocalCommand", "no", "-o ClearAllForwardings", "yes",
					"-4", "", "-C", "", "-i", "/tmp/k", "-o Foo", "a,b", "-o ForwardAgent", "no")},
		},
		{
			name: "sftp, whose keys and values stand in one word",
			args: []string{"-oForwardX11 no", "-oPermitLocalCommand no", "-oClearAllForwardings yes", "-q",
				"-oForwardAgent no", "-oPort 4000", "-l", "eva", "-s", "--", "test%2Fagent", "sftp"},
			want: sshargs.Args{Alias: "test%2Fagent", Path: "test/agent", User: is("eva"), Port: is(4000),
				LogLevel: is(sshargs.LogQuiet), Subsystem: true, Command: []string{"sftp"},
				Notes: notes("-o ForwardX11", "no", "-o PermitLocalCommand", "no",
					"-o ClearAllForwardings", "yes", "-o ForwardAgent", "no")},
		},
		{
			name: "git's question whether this is OpenSSH",
			args: []string{"-G", "-o", "SendEnv=GIT_PROTOCOL", "-p", "99", "host"},
			want: sshargs.Args{Alias: "host", Path: "host", PrintConfig: true, Port: is(99),
				SendEnv: []string{"GIT_PROTOCOL"}},
		},
		{
			name: "git's question without a port",
			args: []string{"-G", "-o", "SendEnv=GIT_PROTOCOL", "eva@test%2Fagent"},
			want: sshargs.Args{Alias: "test%2Fagent", Path: "test/agent", User: is("eva"), PrintConfig: true,
				SendEnv: []string{"GIT_PROTOCOL"}},
		},
		{
			name: "git fetch",
			args: []string{"-o", "SendEnv=GIT_PROTOCOL", "-p", "99", "user@host", "git-upload-pack '/p'"},
			want: sshargs.Args{Alias: "host", Path: "host", User: is("user"), Port: is(99),
				SendEnv: []string{"GIT_PROTOCOL"}, Command: []string{"git-upload-pack '/p'"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.args, tt.want) })
	}
}
