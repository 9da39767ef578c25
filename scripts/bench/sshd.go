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
	"slices"
	"strconv"
	"strings"
	"time"
)

const sshdPath = "/usr/sbin/sshd"

// errNoSSH is the error if this machine has no sshd for a comparison.
var errNoSSH = errors.New("no OpenSSH here (apt-get install openssh-server openssh-client)")

// sshServer is an sshd on a free port of loopback, with keys of its own.
type sshServer struct {
	*program
	remote
}

// startSSH starts an sshd for the present user. It returns errNoSSH if there is no sshd.
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
	clientConfig := filepath.Join(dir, "ssh_config")
	text = fmt.Sprintf(`Host device
HostName 127.0.0.1
Port %d
User %s
IdentityFile %s
IdentitiesOnly yes
BatchMode yes
LogLevel ERROR
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
`, port, me.Username, userKey)
	if err := os.WriteFile(clientConfig, []byte(text), 0o600); err != nil {
		p.stop()
		return nil, err
	}
	argv := []string{client, "-F", clientConfig}
	return &sshServer{p, remote{
		name: "OpenSSH",
		argv: func(command string) []string {
			if command == "" {
				return append(slices.Clone(argv), "-tt", "device")
			}
			return append(slices.Clone(argv), "device", command)
		},
		rsh:  strings.Join(argv, " "),
		host: "device",
	}}, nil
}

// freePort returns a port for a program that cannot choose one itself.
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

// match is our programs and an sshd, if the machine has one.
type match struct {
	remotes []remote // our programs first
	missing string   // why there is no sshd; "": there is one
	growth  *growth  // of our programs
	end     func()
}

// startMatch starts both, and watches the memory of our programs.
func startMatch(ctx context.Context, o options) (*match, error) {
	s, err := startStand(ctx, o)
	if err != nil {
		return nil, err
	}
	m := &match{remotes: []remote{s.remote}, end: s.close}
	ssh, err := startSSH(ctx, o)
	switch {
	case errors.Is(err, errNoSSH):
		m.missing = err.Error()
	case err != nil:
		s.close()
		return nil, err
	default:
		m.remotes = append(m.remotes, ssh.remote)
		m.end = func() { ssh.stop(); s.close() }
	}
	if m.growth, err = watchGrowth(ctx, s.remote); err != nil {
		m.end()
		return nil, err
	}
	return m, nil
}

// compare adds to a row the result of sshd and the ratio to it. met counts only if there
// is an sshd.
func (m *match) compare(r row, other string, ratio float64, met bool) row {
	if m.missing != "" {
		r.reference = m.missing
		return r
	}
	r.reference = "OpenSSH: " + other
	r.ratio = fmt.Sprintf("%.2f", ratio)
	r.verdict = verdict(met)
	return r
}
