package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"time"
)

const sshdPath = "/usr/sbin/sshd"

// errNoSSH: there is nothing to compare with on this machine.
var errNoSSH = errors.New("no OpenSSH here (apt-get install openssh-server openssh-client)")

// sshServer is an sshd on a free port of loopback with keys of its own.
type sshServer struct {
	*program
	remote
}

// startSSH starts an sshd for the user that we are. errNoSSH says that there is
// none.
func startSSH(ctx context.Context, o options) (*sshServer, error) {
	client, err := exec.LookPath("ssh")
	if _, missing := os.Stat(sshdPath); err != nil || missing != nil {
		return nil, errNoSSH
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.temp, "ssh.")
	if err != nil {
		return nil, err
	}
	hostKey, userKey := filepath.Join(dir, "host"), filepath.Join(dir, "user")
	for _, key := range []string{hostKey, userKey} {
		keygen := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
		if out, err := keygen.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "sshd_config")
	text := fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %s
AuthorizedKeysFile %s.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
PrintMotd no
PrintLastLog no
UseDNS no
`, port, hostKey, userKey)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if me.Uid == "0" {
		// Where sshd drops its rights; the service file makes it otherwise.
		_ = os.MkdirAll("/run/sshd", 0o755)
	}
	p, err := startProgram(o.temp, "sshd", sshdPath, "-D", "-e", "-f", config)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := p.await(ctx, func() bool { return reachable(address) }); err != nil {
		return nil, err
	}
	base := []string{client, "-F", "none", "-p", strconv.Itoa(port), "-i", userKey,
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"}
	return &sshServer{p, remote{"OpenSSH", func(command string) []string {
		argv := append([]string(nil), base...)
		if command == "" {
			return append(argv, "-tt", me.Username+"@127.0.0.1")
		}
		return append(argv, me.Username+"@127.0.0.1", command)
	}}}, nil
}

// freePort finds a port for a program that cannot choose one itself.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func reachable(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// startBoth starts our programs and, where there is one, an sshd. missing says
// why there is none.
func startBoth(ctx context.Context, o options) (remotes []remote, missing string, end func(), err error) {
	s, err := startStand(ctx, o)
	if err != nil {
		return nil, "", nil, err
	}
	ssh, err := startSSH(ctx, o)
	switch {
	case errors.Is(err, errNoSSH):
		return []remote{s.remote}, err.Error(), s.close, nil
	case err != nil:
		s.close()
		return nil, "", nil, err
	}
	return []remote{s.remote, ssh.remote}, "", func() { ssh.stop(); s.close() }, nil
}
