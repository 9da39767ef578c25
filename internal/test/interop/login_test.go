package interop_test

import (
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/test/certtest"
)

const (
	pyClient = "pyshv client"
	pyDevice = "pyshv client and device"
	ours     = "shvbroker"
)

// The form in which a client sends its password need not be that of the broker's
// configuration.
func TestPyshvLogsInWithEachPasswordForm(t *testing.T) {
	covers(t, pyClient, ours, "login: SHA1 of a password, its hash, PLAIN with and without hello")
	b := startBroker(t)
	for _, queries := range [][]string{
		{"user=iot", "password=lub42DUB"},
		{"user=iot", "shapass=" + sha1Of("lub42DUB")},
	} {
		c := connected(t, b.login(queries...))
		c.must("ping", nil, nil)
	}
	c := startPeer(t, "client.py")
	for _, hello := range []bool{true, false} {
		c.must("plain", args{"url": b.login(), "hello": hello}, nil)
	}
}

// The error comes at once or after the login penalty, and a right password works after
// it.
func TestPyshvGetsAnErrorForAWrongPassword(t *testing.T) {
	covers(t, pyClient, ours, "login refused: wrong password and user, by SHA1 and PLAIN; right after that")
	b := startBroker(t)
	c := startPeer(t, "client.py")
	c.fails("connect", args{"url": b.login("user=iot", "password=not-this-one")}, 8, "wrong password")
	c.fails("connect", args{"url": b.login("user=nobody", "password=lub42DUB")}, 8, "wrong password")
	c.fails("plain", args{"url": b.login("user=iot", "password=not-this-one"), "hello": false}, 8, "wrong password")
	c.must("connect", args{"url": b.login()}, nil)
	c.must("ping", nil, nil)
	if refused := strings.Count(b.log.String(), "login refused"); refused != 3 {
		t.Errorf("%d logins are refused: the queries of pyshv after them count as guesses", refused)
	}
	if strings.Contains(b.log.String(), "not-this-one") {
		t.Error("the password is in the log")
	}
}

// Over TLS pyshv sends the password itself, without a hello before it.
func TestPyshvLogsInOverTLSAndASocket(t *testing.T) {
	covers(t, pyClient, ours, "transports: ssl with a certificate of its own, unix")
	cert := certtest.Write(t, t.TempDir(), "broker", "localhost", "127.0.0.1")
	socket := "unix:" + filepath.Join(t.TempDir(), "s")
	b := startBroker(t, "--listen", "ssl://127.0.0.1:0", "--listen", socket,
		"--tls-cert", cert.Cert, "--tls-key", cert.Key)
	c := connected(t, b.login("user=iot", "password=lub42DUB", "ca="+cert.Cert))
	c.must("ping", nil, nil)
	if b.count(`"type":"PLAIN"`) == 0 || b.count(`method:"hello"`) != 0 {
		t.Error("the login was not PLAIN, or had a hello before it")
	}
	c = connected(t, withQueries(socket, "user=iot", "password=lub42DUB"))
	c.must("ping", nil, nil)
}

// pyshv has its own framing for tcps, and uses the package websockets for ws.
func TestPyshvOverTheSerialFramingAndWebSockets(t *testing.T) {
	covers(t, pyClient, ours, "transports: tcps, and ws with shv3; every type of value there and back")
	b := startBroker(t, "--listen", "tcps://127.0.0.1:0", "--listen", "ws://127.0.0.1:0")
	mounted(t, b)
	for _, url := range b.listens {
		c := connected(t, withQueries(url, "user=iot", "password=lub42DUB"))
		c.must("ping", nil, nil)
		// pyshv reads tcps byte by byte, so a megabyte would take seconds.
		c.wants("echo", args{"path": "test/device/values", "method": "echo", "big": false}, "[]")
		c.wants("echo", args{"path": ".broker/app", "method": "echo", "big": strings.HasPrefix(url, "ws:")}, "[]")
		c.must("disconnect", nil, nil)
	}
}

// The broker keeps a client that pings, and drops one that does not.
func TestIdlePyshvClientStaysAndASilentOneIsDropped(t *testing.T) {
	covers(t, pyClient, ours, "keep-alive: pings when idle; dropped when silent")
	b := startBroker(t)
	c := startPeer(t, "client.py")
	c.must("connect", args{"url": b.login(), "idle": 3}, nil) // long enough to ping in time on a busy machine
	var before, after struct{ ClientID int }
	info := args{"path": ".broker/currentClient", "method": "info"}
	c.must("call", info, &before)
	b.await(t, "it has pinged four times", func() bool { return b.count(`method:"ping"`) >= 4 })
	if c.must("call", info, &after); before != after || before.ClientID == 0 {
		t.Errorf("it was client %d and is %d", before.ClientID, after.ClientID)
	}
	c.must("silent", args{"url": b.login(), "idle": 1}, nil)
	b.await(t, "it says why", func() bool { return strings.Contains(b.log.String(), "idle for too long") })
}
