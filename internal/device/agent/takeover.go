package agent

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// takeoverSignal is the signal with which our broker says that another device has the mount
// point of this one, or has it no more (protocol.md 5).
const takeoverSignal = "takeover"

// wantTakeover subscribes to the signal. Nothing waits for the answer: other brokers never send
// it.
func (c *connection) wantTakeover(cl *client.Client) {
	const own = ".broker/currentClient"
	_ = cl.Request(cl.NewID(), own, "subscribe", chainpack.String(own+":*:"+takeoverSignal)) // or the connection has ended
}

// maxPeer bounds the text that names the other device, in bytes.
const maxPeer = 100

// errReplaced is the error of a connection that ended while another device was called.
var errReplaced = errors.New("another device is mounted in its place")

// takenOver takes the signal. It runs in the read loop.
func (c *connection) takenOver(m *rpc.Message) {
	content, err := m.Content()
	if err != nil {
		return
	}
	v, _ := content.Value.Get("taken")
	taken, ok := v.AsBool()
	if !ok {
		return
	}
	by := ""
	if taken {
		v, _ = content.Value.Get("clientId")
		id, _ := v.AsInt()
		v, _ = content.Value.Get("peer")
		peer, _ := v.AsString()
		by = fmt.Sprintf("client %d at %s", id, printable(peer[:min(len(peer), maxPeer)]))
	}
	c.mu.Lock()
	c.replaced = by
	c.mu.Unlock()
	select {
	case c.takeover <- struct{}{}:
	default:
	}
}

// printable returns a text of the broker without characters that a terminal would take for
// something else.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// tellTakeover says in log and status what the broker calls now. The device stays connected: it
// is called again when the other one goes, and would only take the place back otherwise.
func (c *connection) tellTakeover() {
	by := c.replacedBy()
	c.agent.opts.Status.replaced(c.broker, by)
	if by == "" {
		c.agent.opts.Log.Info().Str("mount", c.broker.MountPoint).Msg("mount point given back: this device is called again")
		return
	}
	c.agent.opts.Log.Warn().Str("mount", c.broker.MountPoint).Str("by", by).
		Msg("mount point taken over: another device with the same user is called instead of this one")
}

func (c *connection) replacedBy() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replaced
}

// replacedError adds to the end of a connection that another device was called at that time.
func (c *connection) replacedError(err error) error {
	if by := c.replacedBy(); by != "" && err != nil {
		return fmt.Errorf("%w (%s, at %s): %w", errReplaced, by, c.broker.MountPoint, err)
	}
	return err
}
