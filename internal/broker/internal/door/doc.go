// Package door keeps floods and guessers out of a broker (spec.md 5).
// Connections bounds the connections that have not logged in, in all and per source, and
// holds logins back. Penalties remembers failed logins and says for how long. A Refusal is
// the answer to one.
//
// It is not what checks a login, and it knows no session; package shares bounds the
// connections that are logged in. A source is what transport.Peer.Source returns: an
// IPv4 address, an IPv6 /64 or a local user.
package door
