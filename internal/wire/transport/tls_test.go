package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shvtools/internal/test/certtest"
)

// patience is the deadline of every wait.
const patience = 20 * time.Second

// echo serves one connection after the other and returns to each what it sends.
func echo(t *testing.T, l net.Listener, slots Slots) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if c, ok := conn.(*TLSConn); ok && c.Handshake(slots) != nil {
					return
				}
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

func listen(t *testing.T, text string, o ListenOptions) *Listener {
	t.Helper()
	u, err := ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), u, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// listenLater is listen for files that were valid when the listener began, and are outdated now.
func listenLater(t *testing.T, text string, o ListenOptions) *Listener {
	t.Helper()
	u, err := ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	files, err := readTrust(u, o)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := new(net.ListenConfig).Listen(t.Context(), "tcp", u.Address())
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{Listener: inner, url: u}
	l.url.Host, l.url.Port, _ = net.SplitHostPort(inner.Addr().String())
	l.trust.Store(files)
	return l
}

// talk sends something and expects it back.
func talk(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestTLSVerifiesTheCertificate(t *testing.T) {
	dir := t.TempDir()
	good, other := certtest.Write(t, dir, "good", "127.0.0.1", "broker.example"),
		certtest.Write(t, dir, "other", "127.0.0.1")
	elsewhere := certtest.Write(t, dir, "elsewhere", "broker.example")
	for _, tt := range []struct {
		name   string
		shown  certtest.Files
		change func(u *URL)
		want   string // part of the error; "": none
	}{
		{"trusted", good, func(u *URL) { u.CA = good.Cert }, ""},
		{"of the system's roots", good, func(*URL) {}, "unknown authority"},
		{"another's", good, func(u *URL) { u.CA = other.Cert }, "certificate signed by unknown authority"},
		{"for another name", elsewhere, func(u *URL) { u.CA = elsewhere.Cert }, "127.0.0.1"},
		{"for a name that is asked for", elsewhere,
			func(u *URL) { u.CA, u.ServerName = elsewhere.Cert, "broker.example" }, ""},
		{"for another name than is asked for", good,
			func(u *URL) { u.CA, u.ServerName = good.Cert, "evil.example" }, "evil.example"},
		{"not judged", other, func(u *URL) { u.NoVerify = true }, ""},
		{"no file to trust", good, func(u *URL) { u.CA = dir + "/none" }, dir + "/none"},
		{"nothing to trust in it", good, func(u *URL) { u.CA = good.Key }, good.Key},
		{"client certificate", good, func(u *URL) { u.CA, u.Cert = good.Cert, good.Cert }, "no private key; add key=FILE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := listen(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: tt.shown.Cert, KeyFile: tt.shown.Key})
			echo(t, l, NewSlots(1))
			u := l.URL()
			tt.change(&u)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn, err := Dial(ctx, u, time.Minute)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("got %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			talk(t, conn)
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	c := certtest.Write(t, t.TempDir(), "c", "127.0.0.1")
	l := listen(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: c.Cert, KeyFile: c.Key})
	echo(t, l, NewSlots(1))
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{
			InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("version %x: %v", version, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// shown returns the name in the certificate that a listener shows.
func shown(t *testing.T, l *Listener) string {
	t.Helper()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// A failed reload must change nothing: the listener goes on with the old files.
func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	old, next := certtest.Write(t, dir, "old", "h"), certtest.Write(t, dir, "next", "h")
	at := certtest.Files{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	put := func(from, to string) {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(old.Cert, at.Cert)
	put(old.Key, at.Key)
	l := listen(t, "ssl://127.0.0.1:0?cert="+at.Cert+"&key="+at.Key, ListenOptions{CertFile: "unused", KeyFile: "unused"})
	echo(t, l, NewSlots(1))
	fails := func(file string) {
		t.Helper()
		if err := reload(l, ListenOptions{}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("reload: %v, want one that names %s", err, file)
		}
		if got := shown(t, l); got != "old" {
			t.Errorf("shown: %s", got)
		}
	}
	put(next.Cert, at.Cert)
	fails(at.Key) // a certificate with another's key
	_ = os.Remove(at.Cert)
	fails(at.Cert)
	put(next.Cert, at.Cert)
	put(next.Key, at.Key)
	if err := reload(l, ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, l); got != "next" {
		t.Errorf("shown: %s", got)
	}
}

func TestListenerWithoutCertificateIsAnError(t *testing.T) {
	u := URL{Scheme: SSL, Host: "127.0.0.1", Port: "0"}
	if _, err := Listen(t.Context(), u, ListenOptions{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

// Clients that send nothing, or half of a hello, must not keep others out.
// Whoever configures a listener sees all faults at once, each at its option.
func TestFaultsOfFilesNameTheirOptions(t *testing.T) {
	dir := t.TempDir()
	own := certtest.Write(t, dir, "own", "localhost")
	for _, tt := range []struct{ url, want string }{
		{"ssl://h?cert=/none&key=" + own.Key + "&client-ca=/none&crl=/none", "cert client-ca crl"},
		{"ssl://h?cert=" + own.Cert + "&key=/none", "key"},
		{"ssl://h?cert=" + own.Cert, "cert"},
		{"ssl://h?cert=" + own.Cert + "&key=" + own.Key + "&crl=/none", "crl"},
		{"ssl://h?cert=" + own.Cert + "&key=" + own.Key + "&require-client-cert=true", "require-client-cert"},
		{"tcp://h?crl=/none", "crl"},
		{"ssl://h", "?"},
		{"ssl://h?cert=" + own.Cert + "&key=" + own.Key, ""},
	} {
		u, err := ParseListenURL(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = CheckListen(u, ListenOptions{}, time.Now())
		all := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = joined.Unwrap()
		}
		var options []string
		for _, err := range all {
			var of *OptionError
			switch {
			case errors.As(err, &of):
				options = append(options, of.Option)
			case err != nil:
				options = append(options, "?")
			}
		}
		if got := strings.Join(options, " "); got != tt.want {
			t.Errorf("%s: options %s, want %s: %v", tt.url, got, tt.want, err)
		}
	}
	for url, want := range map[string]string{
		"ssl://h?ca=/none": "ca", "ssl://h?crl=/none": "crl", "ssl://h?cert=/none&key=/none": "cert",
		"ssl://h?crl=/none&verify=false": "crl",
	} {
		u, err := ParseClientURL(url)
		if err != nil {
			t.Fatal(err)
		}
		var of *OptionError
		if err := CheckDial(u); !errors.As(err, &of) || of.Option != want {
			t.Errorf("%s: %v, want option %s", url, err, want)
		}
	}
}

func TestSilentClientsTakeNoSlot(t *testing.T) {
	c := certtest.Write(t, t.TempDir(), "c", "127.0.0.1")
	l := listen(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: c.Cert, KeyFile: c.Key})
	echo(t, l, NewSlots(1))
	for i := range 20 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1}[:i%7])
	}
	if got := shown(t, l); got != "c" {
		t.Errorf("shown: %s", got)
	}
}

func TestHandshakeWaitsForASlotAndEndsWithItsConnection(t *testing.T) {
	c := certtest.Write(t, t.TempDir(), "c", "127.0.0.1")
	l := listen(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: c.Cert, KeyFile: c.Key})
	defer l.Close()
	slots := NewSlots(1)
	slots <- struct{}{} // all are taken
	go func() {
		conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			_ = conn.Close()
		}
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- conn.(*TLSConn).Handshake(slots) }()
	for began := time.Now(); !conn.(*TLSConn).Waiting(); {
		if time.Since(began) > patience {
			t.Fatal("it does not wait")
		}
		time.Sleep(time.Millisecond)
	}
	_ = conn.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("the handshake went well")
		}
	case <-time.After(patience):
		t.Fatal("the wait did not end")
	}
	<-slots
	if len(slots) != 0 {
		t.Error("a slot was not given back")
	}
}

// A port without TLS closes on a TLS hello. The user must see more than EOF.
func TestTLSToAPortWithoutItSaysSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		// Read the whole hello first: closing with bytes unread is a reset, not an end.
		header := make([]byte, 5)
		if _, err := io.ReadFull(conn, header); err == nil {
			_, _ = io.CopyN(io.Discard, conn, int64(header[3])<<8|int64(header[4]))
		}
		_ = conn.Close()
	}()
	u, err := ParseURL("ssl://" + l.Addr().String() + "?verify=false")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := Dial(ctx, u, 0); err == nil || !strings.Contains(err.Error(), "the broker's TLS port?") {
		t.Errorf("got %v", err)
	}
}

// Many connections are closed one after the other: by the watch over all links, by a reload and at
// the end. None may delay the others.
func TestCloseDoesNotWaitForAPeerThatDoesNotRead(t *testing.T) {
	own := certtest.Write(t, t.TempDir(), "own", "127.0.0.1")
	l := listen(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: own.Cert, KeyFile: own.Key})
	t.Cleanup(func() { _ = l.Close() })
	u := l.URL()
	u.CA = own.Cert
	dialed := make(chan net.Conn, 1)
	go func() {
		conn, _ := Dial(t.Context(), u, 0)
		dialed <- conn
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*TLSConn).Handshake(NewSlots(1)); err != nil {
		t.Fatal(err)
	}
	peer := <-dialed
	defer peer.Close()
	below := conn.(*TLSConn).NetConn()
	for size := 64 << 10; size > 0; { // until the system's buffers have no room for a byte
		_ = below.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := below.Write(make([]byte, size)); err != nil {
			size /= 256
		}
	}
	began := time.Now()
	_ = conn.Close()
	if took := time.Since(began); took > 3*time.Second { // without a bound of its own, 5 s
		t.Errorf("took %v", took)
	}
}
