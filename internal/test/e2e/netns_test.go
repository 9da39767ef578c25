package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// namespace names a network namespace, which has only a loopback at first.
type namespace string

var namespaces atomic.Int64

// newNamespace makes a namespace, or skips the test where that is not allowed.
func newNamespace(t *testing.T, role string) namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces take root")
	}
	name := fmt.Sprintf("e2e-%d-%d-%s", os.Getpid(), namespaces.Add(1), role)
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("network namespaces cannot be made here: %v: %s", err, strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	ns := namespace(name)
	ns.ip(t, "link", "set", "lo", "up")
	return ns
}

func (n namespace) ip(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"-n", string(n)}, args...)
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

var cables atomic.Int64

// cable connects two namespaces, with an address at each end.
func cable(t *testing.T, a namespace, addressA string, b namespace, addressB string) {
	t.Helper()
	n := cables.Add(1)
	nameA, nameB := fmt.Sprintf("va%d", n), fmt.Sprintf("vb%d", n)
	a.ip(t, "link", "add", nameA, "type", "veth", "peer", "name", nameB, "netns", string(b))
	for _, end := range []struct {
		ns            namespace
		name, address string
	}{{a, nameA, addressA}, {b, nameB, addressB}} {
		end.ns.ip(t, "addr", "add", end.address+"/30", "dev", end.name)
		end.ns.ip(t, "link", "set", end.name, "up")
	}
}

// in makes a program run in the namespace.
func (n namespace) in(cmd *exec.Cmd) *exec.Cmd {
	if n == "" {
		return cmd
	}
	inside := exec.Command("ip", append([]string{"netns", "exec", string(n), cmd.Path}, cmd.Args[1:]...)...)
	inside.Env = cmd.Env
	return inside
}
