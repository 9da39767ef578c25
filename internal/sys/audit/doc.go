// Package audit keeps the record of who did what: JSON lines in a file, in syslog or both,
// one event each, and for each session a line in the log when it begins and when it ends.
// What the keys mean is in docs/admin.md.
//
// It does not know what happened: broker and agent tell it. Nobody waits for it, except
// whoever begins a session where the configuration says that a session without a record
// must not be (Begin). It is no part of the protocol.
package audit
