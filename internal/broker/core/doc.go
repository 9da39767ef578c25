// Package core is an SHV RPC broker: it accepts logins, mounts devices, routes requests
// to them and responses back, sends signals to their subscribers, and arranges tunnels
// (spec.md 5, 7 and 8; design.md 5 and 6).
//
// It is not a transport, and it reads no configuration: it is given listeners and a
// directory of users. It never decodes the bodies of messages that it passes on. What
// needs no session is a package of its own in broker/internal.
//
// Each connection is a session. Its read loop does all the work of a message: it looks
// up the target and puts the message into the target's queue. It never waits for another
// link, with one exception: the link of a tunnel login serves one tunnel alone, and is
// not read while the queue of the other end is full.
//
// Locks: Broker.mu guards the sessions, mounts, tickets and tunnels. It is held for
// look-ups and changes, never for a log line or a system call, and never while something
// is sent, except for the answer to a login, which no request to the new device may
// overtake. Helpers that need it end in Locked. The tables of broker/internal with locks
// of their own are leaves: nothing is locked or sent while one of these is held.
// Broker.telling is taken first: it keeps the signals of mount changes in order, and
// nothing waits for a link under it.
package core
