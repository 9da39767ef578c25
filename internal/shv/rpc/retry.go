package rpc

import (
	"fmt"
	"time"

	"shvtools/internal/shv/chainpack"
)

// retryIn is the key in the data of an error with the time to wait, in seconds (protocol.md 5).
const retryIn = "retryIn"

// maxRetry bounds the time that a peer can make a program wait.
const maxRetry = 15 * time.Minute

// After adds to e when its receiver should try again: to the message for people, and to the data
// for programs. It returns e.
func (e *Error) After(wait time.Duration) *Error {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	e.Message += fmt.Sprintf(", next try in %d s", seconds)
	e.Data = chainpack.Map(chainpack.F(retryIn, chainpack.Int(seconds)))
	return e
}

// RetryIn returns how long the peer asks to wait before the next try, 0 if it does not: whole
// seconds, and at most 15 minutes.
func (e *Error) RetryIn() time.Duration {
	field, _ := e.Data.Get(retryIn)
	seconds, _ := field.AsInt()
	return time.Duration(min(max(seconds, 0), int64(maxRetry/time.Second))) * time.Second
}
