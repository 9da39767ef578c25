package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

// relayCommand makes this program a relay in a process of its own; its argument
// is the ready file.
const relayCommand = "relay"

// relayBuffer is one large frame.
const relayBuffer = 64 << 10

// relay carries what comes on the first connection to the second one until the
// first ends: the least that anything in the broker's place has to do.
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
	// The wrappers hide that both are sockets. Otherwise CopyBuffer leaves the
	// work to splice(2) and its buffer unused; a broker has to see the bytes.
	_, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, relayBuffer))
	return err
}

// serveRelay is the relay's process. It ends with its connections.
func serveRelay(readyFile string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	// Nobody may come: whoever started us may have been killed.
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
