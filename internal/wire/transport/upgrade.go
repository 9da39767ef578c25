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

// maxHead is the limit for the head of a WebSocket request or its answer, in bytes.
const maxHead = 16 << 10

// newWSConn makes a connection of ws of an accepted connection, or one of wss if that has TLS.
func newWSConn(conn net.Conn, origins string) *WSConn {
	c := &WSConn{rawConn: &rawConn{Conn: conn}}
	c.origins = strings.FieldsFunc(origins, func(r rune) bool { return r == ',' })
	c.secure, _ = conn.(*TLSConn)
	c.stream.conn = c
	return c
}

// Handshake performs the TLS handshake, if any, with one of slots, and then the WebSocket
// handshake. It waits for slot and client until the connection is closed: deadlines are the
// caller's.
func (c *WSConn) Handshake(slots Slots) error {
	if c.secure != nil {
		if err := c.secure.Handshake(slots); err != nil {
			return err
		}
	}
	in := bufio.NewReader(io.LimitReader(c.rawConn, maxHead))
	request, err := http.ReadRequest(in)
	if err != nil {
		return fmt.Errorf("no WebSocket request: %w", err)
	}
	w := &answer{conn: c.rawConn, in: in, header: make(http.Header)}
	if err := c.checkOrigin(request); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return err
	}
	ws, err := websocket.Accept(w, request, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // checkOrigin has checked it
		OnPingReceived:     c.ping,
		OnPongReceived:     c.pong,
	})
	if err != nil {
		return err
	}
	c.begin(ws)
	return nil
}

// begin uses the WebSocket that both ends agreed on.
func (c *WSConn) begin(ws *websocket.Conn) {
	ws.SetReadLimit(-1) // the link has its own limit
	c.blocks = ws.Subprotocol() == ""
	c.ws.Store(ws)
}

// checkOrigin refuses web pages that are not listed. A browser may reach this broker with its
// user's certificate, or from this machine, but that does not permit every page that it shows.
// Other programs send no origin.
func (c *WSConn) checkOrigin(request *http.Request) error {
	for _, origin := range request.Header.Values("Origin") {
		allowed := func(o string) bool { return o == "*" || strings.EqualFold(o, origin) }
		if !slices.ContainsFunc(c.origins, allowed) {
			return fmt.Errorf("web page %q is not allowed to connect", origin)
		}
	}
	return nil
}

// checkOrigins returns an error if list is not a comma-separated list of origins.
func checkOrigins(list string) error {
	for origin := range strings.SplitSeq(list, ",") {
		if origin == "*" || list == "" {
			continue
		}
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return fmt.Errorf("invalid origin %q (want * or web pages such as https://shv.example.com)", origin)
		}
	}
	return nil
}

// answer is the answer to the only request of a connection, as an http.ResponseWriter.
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
	_, _ = a.conn.Write(head.Bytes()) // later reads and writes report an error
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.conn.Write(b)
}

// Hijack hands over the connection.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return a.conn, bufio.NewReadWriter(a.in, bufio.NewWriter(a.conn)), nil
}

// dialWS connects to u and performs the WebSocket handshake.
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

// ask performs the client's handshake. It sends the path of the URL, but not its options and user,
// which are not for the server.
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
		return fmt.Errorf("not a WebSocket server: it answered %s: %q", response.Status, strings.TrimSpace(why))
	case err != nil:
		return fmt.Errorf("cannot open a WebSocket: %w", err)
	}
	c.begin(ws)
	return nil
}

// noRedirect follows no redirection: only the place and certificate that the URL names count.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// exchange performs one request on an existing connection, as an http.RoundTripper.
type exchange struct{ conn *rawConn }

// RoundTrip sends the request and returns the answer. The body of the answer is the connection.
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
