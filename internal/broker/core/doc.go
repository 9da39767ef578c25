// Package core is an SHV RPC broker: it lets clients in, mounts devices,
// carries requests to them and responses back, carries signals to who wants them, and arranges tunnels
// (spec.md 5, 7, 8; design.md 5 and 6).
//
// It is not a transport and has no configuration file: it is given listeners
// and a directory of users. Bodies of messages that it passes on are never
// decoded.
//
// Each connection is a session, whose read loop does all the work of a message:
// it looks the target up and puts the message into the target's queue. It never
// waits for another link, with one exception: the link of a tunnel login serves
// one tunnel alone and is not read while the other end's queue is full.
//
// Locks: Broker.mu guards who is there (sessions, mounts, tickets, tunnels). It
// is held for look-ups and changes, never while something is sent, but for the
// answer to a login that no request to the new device may overtake. A session's
// reply routes and the subscriptions have locks of their own, which are taken last:
// nothing is locked or sent while one is held. Broker.telling is taken first: it keeps what
// is told of mounts in order, and nobody waits for a link under it.
package core
