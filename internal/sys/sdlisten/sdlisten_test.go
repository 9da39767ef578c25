package sdlisten

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// base is where the tests put descriptors: nothing else gets so far.
const base = 700

// put makes the file of a socket descriptor fd, which the code under test closes.
func put(t *testing.T, fd int, from interface{ File() (*os.File, error) }) {
	t.Helper()
	f, err := from.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestSocketsAreTakenByName(t *testing.T) {
	tcp, local := listen(t, "tcp", "127.0.0.1:0"), listen(t, "unix", filepath.Join(t.TempDir(), "s"))
	for names, want := range map[string]string{"shv:local": "shv local", "": "unknown unknown"} {
		put(t, base, tcp.(*net.TCPListener))
		put(t, base+1, local.(*net.UnixListener))
		sockets, err := take(base, "2", names)
		if err != nil || len(sockets) != 2 {
			t.Fatalf("%d sockets, %v", len(sockets), err)
		}
		if got := sockets[0].Name + " " + sockets[1].Name; got != want {
			t.Errorf("names %q", got)
		}
		for i, at := range []net.Listener{tcp, local} {
			if got := sockets[i].Addr().String(); got != at.Addr().String() {
				t.Errorf("socket %d is at %s", i, got)
			}
			dialed, err := net.Dial(at.Addr().Network(), at.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			accepted, err := sockets[i].Accept()
			if err != nil {
				t.Fatal(err)
			}
			_, _, _ = dialed.Close(), accepted.Close(), sockets[i].Close()
		}
		// The descriptors themselves are closed: no child finds them.
		if _, err := unix.FcntlInt(base, unix.F_GETFD, 0); err == nil {
			t.Error("a descriptor is still open")
		}
	}
}

func TestWhatIsNoListeningSocketIsSaidByName(t *testing.T) {
	tcp := listen(t, "tcp", "127.0.0.1:0")
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	conn, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	put(t, base+10, udp)
	put(t, base+11, conn.(*net.TCPConn))
	put(t, base+12, tcp.(*net.TCPListener))
	// 13 is not open.
	_, err = take(base+10, "4", "datagrams:connected:good:closed")
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{`"datagrams"`, `"connected"`, `"closed" (file descriptor 713)`, "Accept=no"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), `"good"`) {
		t.Errorf("the good one is in %q", err)
	}
}

func TestTheEnvironmentIsBelievedWhereItIsForUs(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		pid, fds, names string
		want            string // part of the error; "": no sockets and none
	}{
		{"", "", "", ""},
		{"1", "2", "a:b", ""},
		{own, "0", "", ""},
		{own, "x", "", `invalid LISTEN_FDS "x"`},
		{own, "-1", "", "invalid LISTEN_FDS"},
		{own, "100000", "", "invalid LISTEN_FDS"},
		{own, "2", "a", "1 names"},
	} {
		env := map[string]string{"LISTEN_PID": tt.pid, "LISTEN_FDS": tt.fds, "LISTEN_FDNAMES": tt.names}
		sockets, err := FromEnviron(func(name string) string { return env[name] }, func(name string) error {
			delete(env, name)
			return nil
		})
		if len(sockets) != 0 || (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %d sockets, %v", tt, len(sockets), err)
		}
		if len(env) != 0 {
			t.Errorf("%+v: children still see %v", tt, env)
		}
	}
}
