// Package replay holds tests that play the recorded traffic of the C++ programs
// (package wirecaptures) against ours: the clients' bytes against our broker, and
// the broker's and the peers' bytes against our client, agent, helper and shell.
// It exports nothing.
//
// What our side sends is compared with what was recorded, message by message,
// as decoded values. What must differ in any two runs is put in: nonces,
// password hashes, secrets, client ids, ports. What differs because we decided
// so is a deviation: it stands in a table with the rule that causes it, and a
// deviation that does not happen is a failure too.
package replay
