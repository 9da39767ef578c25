// Package inband carries a session through a broker that knows no tunnels
// (design.md section 7): the user's frames go to the device as calls of methods
// of a node with a secret name, the device's go back as further responses to the
// call that asked for the session. Calls and responses may get lost on the way;
// this package makes one ordered stream for each channel of them.
//
// It stands below package tunnel and knows nothing of windows, processes and
// terminals: a User is the carrier of the user's tunnel.End, and a Session hands
// what comes to the helper, whose own tunnel.End is at the other end of a
// socket. Both ends of the tunnel are the same code as with a tunnel through a
// broker.
//
//	shvrsh: tunnel.End ── User ══ lossy calls and responses ══ Session ── socket ── tunnel.End: shvrexec
package inband

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
)

// Feature is the name in the offer of a client.
const Feature = "inband"

// Node is the node of the agent below which the sessions are; ls does not show it.
const Node = ".rexec"

// Bytes of data in one call or response.
const (
	PtyBatch     = 8 << 10
	CommandBatch = tunnel.MaxData
)

const (
	// maxUnacked is how many pieces may be unacknowledged in one direction. The
	// Python broker drops what does not fit into a peer's queue of 16: so many
	// of one direction and as many answers of the other do.
	maxUnacked = 8
	// minUnacked is what is left of it when nothing is acknowledged.
	minUnacked = 2
	// resendAfter is how long an acknowledgement may take. It grows to resendLimit
	// while none comes, and to slowLimit where they take long.
	resendAfter = time.Second
	resendLimit = 4 * time.Second
	slowLimit   = 10 * time.Second
	// FindWait is how long a device that made an offer waits for a tunnel and for
	// an attach.
	FindWait = 10 * time.Second
	// OfferAgain is when the offer is repeated as a plain response.
	OfferAgain = 2 * time.Second

	callEvery    = 15 * time.Second // the user calls the device at least that often
	silentLimit  = 45 * time.Second // after which the device hangs up
	closeRepeats = 3                // of CloseTunnel, once all output is acknowledged
	closeEvery   = time.Second
)

const channels = 4 // three for data and the one for control

// NewID names a session: 128 random bits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Offer is the result with which a device offers a session.
func Offer(id string) chainpack.Value {
	return chainpack.Map(chainpack.F("ext", chainpack.Map(
		chainpack.F("version", chainpack.Int(tunnel.Version)),
		chainpack.F("inband", chainpack.String(id)),
	)))
}

// OfferOf reads such a result; ok is false for any other.
func OfferOf(v chainpack.Value) (id string, ok bool) {
	ext, _ := v.Get("ext")
	version, _ := ext.Get("version")
	if n, isInt := version.AsInt(); !isInt || n < tunnel.Version {
		return "", false
	}
	field, _ := ext.Get("inband")
	id, ok = field.AsString()
	return id, ok && id != ""
}
