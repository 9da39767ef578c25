package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
)

// peer is a connection to a broker as an agent, a helper or a client. It handles one
// message at a time, and uses none of the code that is measured.
type peer struct {
	conn *net.TCPConn
	in   *bufio.Reader
	stop func() bool // ends the watch of the context
}

// dialPeer connects to a broker. The connection ends with ctx.
func dialPeer(ctx context.Context, address string) (*peer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	p := &peer{conn: conn.(*net.TCPConn), in: bufio.NewReader(conn)}
	p.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return p, nil
}

func (p *peer) close() {
	p.stop()
	_ = p.conn.Close()
}

// frame returns a message with its framing (spec.md 4.1).
func frame(message []byte) []byte {
	b := chainpack.AppendUIntData(nil, uint64(len(message)+1))
	return append(append(b, 1), message...)
}

func (p *peer) send(message []byte) error {
	_, err := p.conn.Write(frame(message))
	return err
}

// receive returns the next message and the number of its bytes.
func (p *peer) receive() (*rpc.Message, int, error) {
	var prefix []byte
	for {
		b, err := p.in.ReadByte()
		if err != nil {
			return nil, 0, err
		}
		prefix = append(prefix, b)
		length, _, err := chainpack.UIntData(prefix)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(p.in, payload); err != nil {
			return nil, 0, err
		}
		m := new(rpc.Message)
		return m, len(prefix) + len(payload), m.Parse(payload[1:])
	}
}

// login logs in as the development user, or with a tunnel secret. The options are those of
// spec.md 5.4.
func (p *peer) login(options ...chainpack.Entry) error {
	param := chainpack.Map(
		chainpack.F("login", chainpack.Map(
			chainpack.F("user", chainpack.String(login.DevelopmentUser)),
			chainpack.F("password", chainpack.String(login.DevelopmentPassword)),
			chainpack.F("type", chainpack.String(login.Plain)),
		)),
		chainpack.F("options", chainpack.Map(options...)),
	)
	if err := p.send(rpc.AppendRequest(nil, 1, "", "login", param)); err != nil {
		return err
	}
	m, _, err := p.receive()
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	content, err := m.Content()
	if err == nil && content.Error != nil {
		err = content.Error
	}
	return err
}
