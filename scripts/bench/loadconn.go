package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// sources is how many addresses of 127.0.0.0/8 a generator uses. One address has at most
// 28 000 ports, and a broker limits the connections of one address.
const sources = 128

// sourceAddress returns the address from which client n connects.
func sourceAddress(n int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, 1, 0, byte(1+n%sources))}
}

// loadConn is a connection of the generator. To use little of the machine, it reuses its
// buffers and its message.
type loadConn struct {
	*net.TCPConn
	in       []byte // buffer; in[from:to] is read and not yet used
	from, to int
	m        rpc.Message
}

// dialLoad connects client n.
func dialLoad(ctx context.Context, address string, n, buffer int) (*loadConn, error) {
	ctx, cancel := context.WithTimeout(ctx, client.DefaultTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: sourceAddress(n), KeepAlive: -1}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &loadConn{TCPConn: conn.(*net.TCPConn), in: make([]byte, buffer)}, nil
}

// next returns the next message, which is valid until the next call.
func (c *loadConn) next() (*rpc.Message, error) {
	for {
		payload, err := c.buffered()
		if err != nil {
			return nil, err
		}
		if payload != nil {
			return &c.m, c.m.Parse(payload[1:])
		}
		if c.from > 0 {
			c.to = copy(c.in, c.in[c.from:c.to])
			c.from = 0
		}
		if c.to == len(c.in) {
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
		n, err := c.Read(c.in[c.to:])
		c.to += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// buffered removes and returns a whole payload from the buffer; nil if it has none.
func (c *loadConn) buffered() ([]byte, error) {
	b := c.in[c.from:c.to]
	length, n, err := chainpack.UIntData(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if uint64(len(b)-n) < length {
		return nil, nil
	}
	c.from += n + int(length)
	return b[n : n+int(length)], nil
}

// more reports whether next would return a message without waiting.
func (c *loadConn) more() bool {
	length, n, err := chainpack.UIntData(c.in[c.from:c.to])
	return err == nil && uint64(c.to-c.from-n) >= length
}

// call calls a method and returns its result. No other message may arrive meanwhile.
func (c *loadConn) call(id int64, path, method string, param chainpack.Value) (chainpack.Value, error) {
	if _, err := c.Write(frame(rpc.AppendRequest(nil, id, path, method, param))); err != nil {
		return chainpack.Null(), err
	}
	m, err := c.next()
	if err != nil {
		return chainpack.Null(), fmt.Errorf("%s: %w", method, err)
	}
	content, err := m.Content()
	if err == nil && content.Error != nil {
		err = content.Error
	}
	return content.Value, err
}

// login logs in with hello and a password hash. With an empty mount point it logs in as a
// client, otherwise as a device.
func (c *loadConn) login(mountPoint string) error {
	_ = c.SetDeadline(time.Now().Add(client.DefaultTimeout))
	hello, err := c.call(1, "", "hello", chainpack.Null())
	if err != nil {
		return err
	}
	nonce, _ := hello.Get("nonce")
	text, _ := nonce.AsString()
	options := []chainpack.Entry{chainpack.F("idleWatchDogTimeOut", chainpack.Int(180))}
	if mountPoint != "" {
		device := chainpack.Map(chainpack.F("mountPoint", chainpack.String(mountPoint)))
		options = append(options, chainpack.F("device", device))
	}
	_, err = c.call(2, "", "login", chainpack.Map(
		chainpack.F("login", chainpack.Map(
			chainpack.F("user", chainpack.String(login.DevelopmentUser)),
			chainpack.F("password", chainpack.String(login.Hash(text, login.DevelopmentPassword))),
			chainpack.F("type", chainpack.String(login.SHA1)),
		)),
		chainpack.F("options", chainpack.Map(options...)),
	))
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	return err
}

// dialLogin connects client n and logs in.
func dialLogin(ctx context.Context, address string, n, buffer int, mountPoint string) (*loadConn, error) {
	c, err := dialLoad(ctx, address, n, buffer)
	if err != nil {
		return nil, err
	}
	if err := c.login(mountPoint); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
