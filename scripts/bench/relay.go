package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

// relayCommand makes this program a relay in a process of its own. Its argument is the
// ready file.
const relayCommand = "relay"

// relayBuffer is the size of one large frame.
const relayBuffer = 64 << 10

// relay carries bytes from the first connection to the second until the first ends. Any
// broker must do at least that.
func relay(l net.Listener) error {
	from, err := l.Accept()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := l.Accept()
	if err != nil {
		return err
	}
	defer to.Close()
	// The wrappers hide that both are sockets. Otherwise CopyBuffer would use splice(2)
	// instead of its buffer, but a broker must read the bytes.
	_, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, relayBuffer))
	return err
}

// pairsCommand makes this program a relay of pairs in a process of its own. Its argument
// is the ready file.
const pairsCommand = "pairs"

// relayPairs carries bytes both ways between the first connection and the second,
// the third and the fourth, and so on, until the first of all ends.
func relayPairs(l net.Listener) error {
	ended := make(chan error, 1)
	failed := make(chan error, 1)
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				failed <- err
				return
			}
			b, err := l.Accept()
			if err != nil {
				failed <- err
				return
			}
			_ = l.(*net.TCPListener).SetDeadline(time.Time{}) // the first connection is accepted
			carry := func(to, from net.Conn) {
				defer to.Close()
				_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, relayBuffer))
				select {
				case ended <- err:
				default:
				}
			}
			go carry(a, b)
			go carry(b, a)
		}
	}()
	select {
	case err := <-ended:
		return err
	case err := <-failed:
		return err
	}
}

// serveRelay is the main function of a relay's process. It ends with its connections.
func serveRelay(readyFile string, relay func(net.Listener) error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	// There may never be a connection, if the starting process was killed.
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(startDeadline))
	if err := os.WriteFile(readyFile+".new", []byte(l.Addr().String()+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(readyFile+".new", readyFile); err != nil {
		return err
	}
	return relay(l)
}

// startRelay runs serveRelay in a process of its own.
func startRelay(ctx context.Context, o options) (p *program, address string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	ready := filepath.Join(o.temp, "relay.ready")
	_ = os.Remove(ready)
	p, err = startProgram(o.temp, "relay", self, relayCommand, ready)
	if err != nil {
		return nil, "", err
	}
	address, err = p.awaitReady(ctx, ready)
	return p, address, err
}
