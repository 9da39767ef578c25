// Package link is one live connection between two peers: frames are read and
// handed on, frames are queued and written, and the end has one cause
// (spec.md 4: the block framing, the serial one, and WebSockets).
//
// It knows frames and the meta of a message. It does not know logins, routes or
// what a message means, and it does not dial or listen: it is given a
// connection.
//
// A Link has one goroutine, and a second one while there is something to write that
// its sender did not write. The read loop is the goroutine that calls Run; it hands
// each message to the Handler and never waits for a write, unless the Handler
// chooses to by SendWait. The write loop takes what is queued, puts small frames
// together, and writes as soon as there is something to write: no timer delays a
// frame. Run returns after both have ended. A link that waits for its peer holds no
// buffer.
package link
