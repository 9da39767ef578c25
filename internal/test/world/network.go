package world

import (
	"context"
	"io"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/test/certtest"
	"shvtools/internal/wire/transport"
)

// Listen opens the world to real connections at a URL and returns the URL for clients.
// Port 0 stands for any free one. A URL for TLS without a certificate gets a new one for
// this machine, and the URL for clients trusts it.
func (w *World) Listen(url string) transport.URL {
	w.t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		w.t.Fatal(err)
	}
	trusted := ""
	if u.IsEncrypted() && u.Cert == "" {
		c := certtest.Write(w.t, w.t.TempDir(), "c", "127.0.0.1", "::1")
		u.Cert, u.Key, trusted = c.Cert, c.Key, c.Cert
	}
	l, err := transport.Listen(w.t.Context(), u, transport.ListenOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.serving.Go(func() { _ = w.Serve(l) })
	at := l.URL()
	at.Cert, at.Key, at.CA = "", "", trusted
	return at
}

// Dial returns a peer that is not logged in, on a real connection.
func (w *World) Dial(u transport.URL) *Peer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), Patience)
	defer cancel()
	conn, err := transport.Dial(ctx, u, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	if ws, ok := conn.(*transport.WSConn); ok {
		conn = &blockConn{WSConn: ws}
	}
	return NewPeer(w.t, conn)
}

// blockConn gives the frames of a WebSocket the block framing.
type blockConn struct {
	*transport.WSConn
	left []byte // of the last frame
}

// Read reads frames, each with its length before it.
func (c *blockConn) Read(b []byte) (int, error) {
	if len(c.left) == 0 {
		r, err := c.NextFrame()
		if err != nil {
			return 0, err
		}
		payload, err := io.ReadAll(r)
		if err != nil {
			return 0, err
		}
		c.left = append(chainpack.AppendUIntData(nil, uint64(len(payload))), payload...)
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

// Write writes one frame, which has its length before it.
func (c *blockConn) Write(b []byte) (int, error) {
	_, payload, err := chainpack.UIntData(b)
	if err == nil {
		err = c.WriteFrame(b, payload)
	}
	return len(b), err
}
