// Package inband carries a session through a broker that knows no tunnels (protocol.md 6). The
// user's frames go to the device as calls of methods of a node with a secret name. The device's
// frames go back as further responses to the call that asked for the session. Calls and responses
// may get lost on the way; this package makes one ordered stream per channel of them.
//
// It works under package tunnel and knows nothing of windows, processes and terminals. A User is
// the carrier of the user's tunnel.End. A Session passes what it receives to the helper, whose own
// tunnel.End is at the other end of a socket. So both ends of the tunnel are the same code as with
// a tunnel through a broker.
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

// Feature is the name of this feature in the offer of a client.
const Feature = "inband"

// Node is the node of the agent that holds the sessions; ls does not show it.
const Node = ".rexec"

// Bytes of data in one call or response.
const (
	PtyBatch     = 8 << 10
	CommandBatch = tunnel.MaxData
)

const (
	// maxUnacked is how many pieces may be unacknowledged in one direction. The Python broker drops
	// what does not fit into a peer's queue of 16: that holds so many pieces of one direction and
	// as many answers of the other.
	maxUnacked = 8
	// minUnacked is the lowest limit to which losses reduce maxUnacked.
	minUnacked = 2
	// resendAfter is how long an acknowledgement may take before pieces are sent again. It grows to
	// resendLimit while none comes, and to slowLimit if they take long.
	resendAfter = time.Second
	resendLimit = 4 * time.Second
	slowLimit   = 10 * time.Second
	// FindWait is how long a device that made an offer waits for a tunnel or for an attach.
	FindWait = 10 * time.Second
	// OfferAgain is when the offer is repeated as a plain response.
	OfferAgain = 2 * time.Second

	callEvery    = 15 * time.Second // the user calls the device at least this often
	silentLimit  = 45 * time.Second // the device hangs up after this time without a call
	closeRepeats = 3                // of CloseTunnel, when all output is acknowledged
	closeEvery   = time.Second
)

// channels is the number of channels: three for data and one for control.
const channels = 4

// NewID returns a name for a session: 128 random bits in hex.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Offer returns the result with which a device offers a session.
func Offer(id string) chainpack.Value {
	return chainpack.Map(chainpack.F("ext", chainpack.Map(
		chainpack.F("version", chainpack.Int(tunnel.Version)),
		chainpack.F("inband", chainpack.String(id)),
	)))
}

// OfferOf reads such a result; ok is false for other values.
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
