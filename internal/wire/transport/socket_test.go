package transport

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSocketIsItsOwnersAlone(t *testing.T) {
	old := unix.Umask(0) // nothing else may protect it
	defer unix.Umask(old)
	for option, want := range map[string]fs.FileMode{"": 0o600, "?mode=660": 0o660, "?mode=777": 0o777} {
		path := filepath.Join(t.TempDir(), "s")
		l := listen(t, "unix:"+path+option, ListenOptions{})
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", option, info.Mode(), err)
		}
		_ = l.Close()
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%q: the file stays behind", option)
		}
	}
	unix.Umask(0o077)
	path := filepath.Join(t.TempDir(), "s")
	l := listen(t, "unix:"+path+"?mode=666", ListenOptions{})
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	_ = stale.Close()
	l := listen(t, "unix:"+path, ListenOptions{})
	echo(t, l, nil)
	u := l.URL()
	if _, err := Listen(t.Context(), u, ListenOptions{}); err == nil ||
		!strings.Contains(err.Error(), "another program listens") {
		t.Errorf("a second listener: %v", err)
	}
	for _, dial := range []func(context.Context, URL, time.Duration) (net.Conn, error){Dial, DialBlocking} {
		conn, err := dial(t.Context(), u, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		talk(t, conn)
		_ = conn.Close()
	}
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, dir, filepath.Join(dir, "none", "s"),
		filepath.Join(dir, strings.Repeat("x", 200))} {
		if l, err := Listen(t.Context(), URL{Scheme: Unix, Path: path}, ListenOptions{}); err == nil {
			_ = l.Close()
			t.Errorf("%s: no error", path)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestPeerOfASocketIsItsUser(t *testing.T) {
	l := listen(t, "unix:"+filepath.Join(t.TempDir(), "s"), ListenOptions{})
	defer l.Close()
	conn, err := Dial(t.Context(), l.URL(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	p := PeerOf(accepted)
	if p.Scheme != Unix || p.UID != os.Getuid() || !p.IsLocal() || p.IsEncrypted() ||
		!strings.HasPrefix(p.Source(), "uid ") {
		t.Errorf("%+v, source %q", p, p.Source())
	}
}

// addressed is a connection from an address.
type addressed struct {
	net.Conn
	from string
}

func (c addressed) RemoteAddr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", c.from)
	return addr
}

func TestSources(t *testing.T) {
	for from, want := range map[string]struct {
		source string
		local  bool
	}{
		"10.1.2.3:4":            {"10.1.2.3", false},
		"127.9.9.9:4":           {"127.9.9.9", true},
		"[::ffff:10.1.2.3]:4":   {"10.1.2.3", false},
		"[2001:db8:1:2:3::4]:5": {"2001:db8:1:2::/64", false},
		"[2001:db8:1:2:9::9]:5": {"2001:db8:1:2::/64", false},
		"[2001:db8:1:3::4]:5":   {"2001:db8:1:3::/64", false},
		"[fe80::1%lo]:5":        {"fe80::/64", false},
		"[::1]:5":               {"::/64", true},
	} {
		p := PeerOf(addressed{from: from})
		if p.Source() != want.source || p.IsLocal() != want.local {
			t.Errorf("%s: source %q, local %v", from, p.Source(), p.IsLocal())
		}
	}
}

// Two listeners share a port: each has the addresses of its own kind only.
func TestListenersOfBothKindsShareAPort(t *testing.T) {
	six, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	_ = six.Close()
	four := listen(t, "tcp://0.0.0.0:0", ListenOptions{})
	defer four.Close()
	u := four.URL()
	u.Host = "::"
	if l, err := Listen(t.Context(), u, ListenOptions{}); err == nil {
		_ = l.Close()
		t.Error("both listen to IPv4")
	}
	l, err := Listen(t.Context(), u, ListenOptions{OnlyIPv6: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for host, at := range map[string]*Listener{"127.0.0.1": four, "::1": l} {
		conn, err := net.Dial("tcp", net.JoinHostPort(host, u.Port))
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := at.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := PeerOf(accepted).Addr.String(); got != host {
			t.Errorf("from %s, as %s", host, got)
		}
		_, _ = conn.Close(), accepted.Close()
	}
}
