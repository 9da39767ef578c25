package rpc

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// SessionName returns the name of a session in logs and records, from what only its ends and the
// brokers between them know: the secret of its tunnel, or the ID of an in-band session (protocol.md
// 1, 6). So all of them have the same name for it, whatever they are, and nobody else can make it up.
// The name gives no right, and the secret cannot be found from it.
func SessionName(secret string) string {
	return SessionNameOf(sha256.Sum256([]byte(secret)))
}

// SessionNameOf is SessionName of a secret of which only the SHA-256 is kept.
func SessionNameOf(hash [sha256.Size]byte) string {
	sum := sha256.Sum256(append([]byte("shv session "), hash[:]...))
	return "s-" + hex.EncodeToString(sum[:8])
}

// CallName returns the name of a call in logs and records, for one that is a session by itself: its
// caller ids as the callee sees them, and its request id. A broker further up knows the beginning of
// the caller ids only.
func (a Address) CallName() string {
	name := make([]string, len(a.Callers))
	for i, id := range a.Callers {
		name[i] = strconv.FormatInt(id, 10)
	}
	return "c" + strings.Join(name, ".") + "-" + strconv.FormatInt(a.ID, 10)
}
