// Package topics keeps who is subscribed to which signals (spec.md 7.7), and reads
// the params of subscribe and unsubscribe of either generation of clients.
//
// It does not know sessions, rights or links: a Table is generic over its members,
// and finds those that want a signal; whether they may have it is the broker's
// matter. A signal is compared only with the topics whose stem its path begins
// with, and with patterns outside of the lock, so that a costly one holds up its
// sender alone.
package topics
