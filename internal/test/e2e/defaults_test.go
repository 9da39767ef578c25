package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownNetworkEnv is set if the test runs in a network of its own.
const ownNetworkEnv = "E2E_OWN_NETWORK"

// Without arguments the programs use a fixed port, so the test runs itself again in a
// network of its own.
func TestProgramsFindEachOtherWithoutArguments(t *testing.T) {
	if os.Getenv(ownNetworkEnv) != "" {
		inOwnNetwork(t)
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProgramsFindEachOtherWithoutArguments$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), ownNetworkEnv+"=1", binEnv+"="+bin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	p, err := startProcess(cmd)
	if err != nil {
		t.Skipf("no network of our own: %v", err)
	}
	defer p.Stop(t)
	if code := p.codeWithin(t, 4*patience); code != 0 { // it waits several times for patience itself
		p.report(t)
		t.Errorf("exit code %d", code)
	}
}

func inOwnNetwork(t *testing.T) {
	if err := loopbackUp(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	start := func(name string) *process {
		cmd := exec.Command(program(name))
		cmd.Env = environment(w.shellSettings()...)
		return w.launch(cmd)
	}
	w.broker = start("shvbroker")
	eventually(t, patience, "the broker listens", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:3755")
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	w.agent = start("shvagent")
	w.agent.says(t, "connected", "mount="+device)
	rsh := exec.Command(program("shvrsh"), device)
	rsh.Env = environment()
	term := w.open(80, 24, rsh)
	term.expect(prompt)
	if got := term.run("echo $((40+2))"); got != "42\r\n" {
		t.Errorf("the shell printed %q", got)
	}
	term.typeKeys("exit\r")
	term.ends(0)
}

// loopbackUp does what `ip link set lo up` does.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
