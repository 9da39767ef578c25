// Package tunnel is one end of a tunnel: a stream of responses in both
// directions that carries the bytes of a process (spec.md 8,
// design.md section 6).
//
// It knows channels, windows, the end of a channel, pings and the exit report.
// It does not know processes, terminals or how a tunnel is found: the programs
// shvrexec and shvrsh do, which are the two ends.
//
// With a peer that knows the additions of design.md section 6, each direction of
// each channel has a window: an end sends no more than the other side has
// promised to hold, so the read loop of the connection never waits. With a peer
// that does not, the connection is not read while a channel's consumer is behind:
// TCP and the broker then hold the sender back.
//
//	peer ── Receive ──> inbox ──WriteTo──> process or terminal, then ack
//	peer <── SendNow ── credit <──ReadFrom── process or terminal
package tunnel
