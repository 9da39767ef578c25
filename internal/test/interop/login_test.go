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

// A client that sends its password in another form than the one that the broker
// holds is let in all the same.
func TestPyshvIsLetInWithEachFormOfAPassword(t *testing.T) {
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

// Who was refused is told so, at once or after the delay that guessing costs, and is
// not locked out.
func TestPyshvIsToldThatItsPasswordIsWrong(t *testing.T) {
	covers(t, pyClient, ours, "login refused: wrong password and user, by SHA1 and PLAIN; right after that")
	b := startBroker(t)
	c := startPeer(t, "client.py")
	c.fails("connect", args{"url": b.login("user=iot", "password=not-this-one")}, 8, "wrong password")
	c.fails("connect", args{"url": b.login("user=nobody", "password=lub42DUB")}, 8, "wrong password")
	c.fails("plain", args{"url": b.login("user=iot", "password=not-this-one"), "hello": false}, 8, "wrong password")
	c.must("connect", args{"url": b.login()}, nil)
	c.must("ping", nil, nil)
	if refused := strings.Count(b.log.String(), "login refused"); refused != 3 {
		t.Errorf("%d logins are refused: pyshv's questions after them count as guesses", refused)
	}
	if strings.Contains(b.log.String(), "not-this-one") {
		t.Error("the password is in the log")
	}
}

// Over TLS pyshv sends the password itself, and says no hello before.
func TestPyshvLogsInOverTLSAndASocket(t *testing.T) {
	covers(t, pyClient, ours, "transports: ssl with a certificate of its own, unix")
	cert := certtest.Write(t, t.TempDir(), "broker", "localhost", "127.0.0.1")
	socket := "unix:" + filepath.Join(t.TempDir(), "s")
	b := startBroker(t, "--listen", "ssl://127.0.0.1:0", "--listen", socket, "--tls-cert", cert.Cert, "--tls-key", cert.Key)
	c := connected(t, b.login("user=iot", "password=lub42DUB", "ca="+cert.Cert))
	c.must("ping", nil, nil)
	if b.count(`"type":"PLAIN"`) == 0 || b.count(`method:"hello"`) != 0 {
		t.Error("that was no PLAIN login without hello")
	}
	c = connected(t, withQueries(socket, "user=iot", "password=lub42DUB"))
	c.must("ping", nil, nil)
}

// The framings of others: pyshv's own for tcps, that of the package websockets for ws.
func TestPyshvOverTheSerialFramingAndWebSockets(t *testing.T) {
	covers(t, pyClient, ours, "transports: tcps, and ws with shv3; every type of value there and back")
	b := startBroker(t, "--listen", "tcps://127.0.0.1:0", "--listen", "ws://127.0.0.1:0")
	mounted(t, b)
	for _, url := range b.listens {
		c := connected(t, withQueries(url, "user=iot", "password=lub42DUB"))
		c.must("ping", nil, nil)
		// pyshv reads tcps byte by byte: a megabyte would take it seconds.
		c.wants("echo", args{"path": "test/device/values", "method": "echo", "big": false}, "[]")
		c.wants("echo", args{"path": ".broker/app", "method": "echo", "big": strings.HasPrefix(url, "ws:")}, "[]")
		c.must("disconnect", nil, nil)
	}
}

// A client keeps itself alive by pings, and is dropped without them.
func TestIdlePyshvClientStaysAndASilentOneIsDropped(t *testing.T) {
	covers(t, pyClient, ours, "keep-alive: pings when idle; dropped when silent")
	b := startBroker(t)
	c := startPeer(t, "client.py")
	c.must("connect", args{"url": b.login(), "idle": 3}, nil) // it pings in time on a busy machine
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
