// Package door keeps floods and guessers out of a broker (spec.md 5).
// Connections bounds the connections, and those that have not logged in: in all
// and per source. Penalties remembers failed logins and says how long an answer is
// held back.
//
// It is not what checks a login, and it does not hold anything back itself: it
// counts, and its caller waits. A source is what transport.Peer.Source returns: an
// IPv4 address, an IPv6 /64 or a local user.
package door
