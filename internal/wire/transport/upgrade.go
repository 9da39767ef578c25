package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// maxHead is how long a request for a WebSocket, or the answer, may be in bytes.
const maxHead = 16 << 10

// newWSConn makes an accepted connection one of ws, or of wss where it is one of
// TLS.
func newWSConn(conn net.Conn, origins string) *WSConn {
	c := &WSConn{rawConn: &rawConn{Conn: conn}, origins: strings.FieldsFunc(origins, func(r rune) bool { return r == ',' })}
	c.secure, _ = conn.(*TLSConn)
	c.stream.conn = c
	return c
}

// Handshake does that of TLS, with one of slots, and that of the WebSocket. It waits
// for slot and client until the connection is closed: deadlines are the caller's.
func (c *WSConn) Handshake(slots Slots) error {
	if c.secure != nil {
		if err := c.secure.Handshake(slots); err != nil {
			return err
		}
	}
	in := bufio.NewReader(io.LimitReader(c.rawConn, maxHead))
	request, err := http.ReadRequest(in)
	if err != nil {
		return fmt.Errorf("no request for a WebSocket: %w", err)
	}
	w := &answer{conn: c.rawConn, in: in, header: make(http.Header)}
	if err := c.checkOrigin(request); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return err
	}
	ws, err := websocket.Accept(w, request, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, InsecureSkipVerify: true, OnPingReceived: c.ping, OnPongReceived: c.pong}) // the origin was judged
	if err != nil {
		return err
	}
	c.begin(ws)
	return nil
}

// begin takes the WebSocket that was agreed on.
func (c *WSConn) begin(ws *websocket.Conn) {
	ws.SetReadLimit(-1) // the limit is the link's
	c.blocks = ws.Subprotocol() == ""
	c.ws.Store(ws)
}

// checkOrigin refuses web pages: what a browser on this machine, or with its user's
// certificate, can reach is not for any page that it shows. Other programs name
// no origin.
func (c *WSConn) checkOrigin(request *http.Request) error {
	for _, origin := range request.Header.Values("Origin") {
		allowed := func(o string) bool { return o == "*" || strings.EqualFold(o, origin) }
		if !slices.ContainsFunc(c.origins, allowed) {
			return fmt.Errorf("the web page %q may not connect here", origin)
		}
	}
	return nil
}

// checkOrigins refuses what is no list of origins.
func checkOrigins(list string) error {
	for origin := range strings.SplitSeq(list, ",") {
		if origin == "*" || list == "" {
			continue
		}
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return errors.New("the option origin is no list of web pages such as https://shv.example.com")
		}
	}
	return nil
}

// answer is the answer to the one request of a connection.
type answer struct {
	conn   *rawConn
	in     *bufio.Reader
	header http.Header
	begun  bool
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.begun {
		return
	}
	a.begun = true
	if status != http.StatusSwitchingProtocols {
		a.header.Set("Connection", "close")
	}
	var head bytes.Buffer
	_, _ = fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = a.header.Write(&head)
	head.WriteString("\r\n")
	_, _ = a.conn.Write(head.Bytes()) // an error shows in what follows
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.conn.Write(b)
}

// Hijack gives the connection away.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.conn, bufio.NewReadWriter(a.in, bufio.NewWriter(a.conn)), nil
}

// dialWS makes a connection to u a WebSocket.
func dialWS(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	conn, err := dialSocket(ctx, u, stall)
	if err != nil {
		return nil, err
	}
	c := &WSConn{rawConn: &rawConn{Conn: conn, client: true}}
	c.stream.conn = c
	if err := c.ask(ctx, u); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// ask does the handshake of a client. Options and user of the URL are not the
// server's.
func (c *WSConn) ask(ctx context.Context, u URL) error {
	stop := context.AfterFunc(ctx, func() { _ = c.rawConn.Close() })
	where := url.URL{Scheme: "ws", Host: u.Address(), Path: u.Path}
	ws, response, err := websocket.Dial(ctx, where.String(), &websocket.DialOptions{
		HTTPClient:     &http.Client{Transport: exchange{c.rawConn}, CheckRedirect: noRedirect},
		Subprotocols:   []string{subprotocol},
		OnPingReceived: c.ping,
		OnPongReceived: c.pong,
	})
	var refused *CertificateError
	switch {
	case !stop():
		return context.Cause(ctx)
	case errors.As(err, &refused):
		return refused
	case err != nil && response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		why, _ := bufio.NewReader(response.Body).ReadString('\n')
		return fmt.Errorf("no WebSocket there: it answers %s: %q", response.Status, strings.TrimSpace(why))
	case err != nil:
		return fmt.Errorf("no WebSocket there: %w", err)
	}
	c.begin(ws)
	return nil
}

// noRedirect keeps to the place, and the certificate, that the URL names.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// exchange does one request on a connection that is there.
type exchange struct{ conn *rawConn }

// RoundTrip sends the request and gives the answer, whose body is the connection.
func (e exchange) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := request.Write(e.conn); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: e.conn, N: maxHead}
	in := bufio.NewReader(limited)
	response, err := http.ReadResponse(in, request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		limited.N = math.MaxInt64
		response.Body = struct {
			io.Reader
			io.Writer
			io.Closer
		}{in, e.conn, e.conn}
	}
	return response, nil
}
