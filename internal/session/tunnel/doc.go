// Package tunnel is one end of a tunnel: a stream of responses in both directions that carries the
// bytes of a process (spec.md 8). It adds what protocol.md 1 to 4 describes if both ends agree on
// it.
//
// It knows channels, windows, the end of a channel, pings and the exit report. It does not know
// processes, terminals, or how the ends of a tunnel find each other. The programs shvrexec and
// shvrsh, which are the two ends, do.
//
// With a peer that knows the additions, each direction of each channel has a window: an end sends
// no more than the other end has promised to hold, so the read loop of the connection never waits.
// With any other peer, the connection is not read while the consumer of a channel is behind; then
// TCP and the broker slow the sender down.
//
//	peer ── Receive ──> inbox ──WriteTo──> process or terminal, then ack
//	peer <── SendNow ── sendWindow <──ReadFrom── process or terminal
package tunnel
