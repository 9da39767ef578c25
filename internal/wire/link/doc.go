// Package link is one live connection between two peers. It reads frames and hands on their
// messages, queues and writes frames, and ends with one cause. It implements the framings of
// spec.md 4.1 (block), 4.2 (serial) and 4.3 (WebSocket).
//
// It knows frames and the meta of a message. It does not know logins, reply routes or what a
// message means, and it neither dials nor listens: it is given a connection (package transport
// makes them).
//
// A Link has one read loop, the goroutine that calls Run, and a write loop while frames are queued
// that their sender did not write itself. The read loop hands each message to the Handler. It never
// waits for a write, unless the Handler chooses to by SendWait. The write loop batches small frames
// and writes as soon as something is queued; no timer delays a frame. Run returns when both loops
// have ended. A link that waits for its peer holds no buffer.
package link
