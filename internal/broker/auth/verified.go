package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// maxVerified bounds the passwords that are remembered.
const maxVerified = 4096

// verified remembers which passwords were right for which argon2id hash, by a hash with
// a key of this process: a fleet that reconnects after an outage has one password, and
// would otherwise wait for minutes. A wrong password is never quick. The zero value is
// empty and ready.
type verified struct {
	mu  sync.Mutex
	key [sha256.Size]byte
	set map[[sha256.Size]byte]struct{}
}

func (v *verified) has(stored Password, given string) bool {
	if stored.form != FormArgon2 {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.set == nil {
		return false
	}
	_, ok := v.set[v.digest(stored, given)]
	return ok
}

func (v *verified) add(stored Password, given string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.set == nil {
		_, _ = rand.Read(v.key[:]) // it never fails
	}
	if v.set == nil || len(v.set) >= maxVerified {
		v.set = make(map[[sha256.Size]byte]struct{})
	}
	v.set[v.digest(stored, given)] = struct{}{}
}

// digest hashes both texts; the stored one has no zero byte. v.mu is held.
func (v *verified) digest(stored Password, given string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, v.key[:])
	h.Write([]byte(stored.text + "\x00" + given))
	h.Sum(sum[:0])
	return sum
}
