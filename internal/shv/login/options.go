package login

import (
	"crypto/rand"
	"math/big"
	"time"

	"shvtools/internal/shv/chainpack"
)

const (
	// longIdle is the watchdog of a client that asks for one of 0 seconds, as the C++
	// helper and shvrsh do: they may be silent for hours (spec.md 6).
	longIdle = 10 * time.Hour
	// defaultIdle is the watchdog of a client that asks for none.
	defaultIdle = 180 * time.Second
)

// NewNonce returns at least 10 decimal digits, as old and new clients expect.
func NewNonce() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9e15))
	if err != nil {
		panic(err) // never: crypto/rand ends the program by itself
	}
	return n.Add(n, big.NewInt(1e15)).String()
}

// IdleLimit returns the watchdog that a login asks for (spec.md 5.4, 6).
func IdleLimit(options chainpack.Value) time.Duration {
	asked, ok := options.Get("idleWatchDogTimeOut")
	if !ok {
		return defaultIdle
	}
	seconds, ok := asked.AsInt()
	switch {
	case !ok:
		return defaultIdle
	case seconds <= 0 || seconds > int64(longIdle/time.Second):
		return longIdle
	}
	return time.Duration(seconds) * time.Second
}

// TunnelSecret returns the secret of a helper; ok is false if the login is not a helper's.
func TunnelSecret(options chainpack.Value) (secret string, ok bool) {
	tunnel, _ := options.Get("tunnel")
	return Field(tunnel, "secret"), tunnel.Kind() == chainpack.KindMap
}

// Field returns a String of a login or its options; "" if there is none.
func Field(v chainpack.Value, name string) string {
	field, _ := v.Get(name)
	text, _ := field.AsString()
	return text
}
