// Package replay holds tests that play the recorded traffic of the C++ programs
// (package wirecaptures) against our programs: the clients' bytes against our broker,
// and the broker's and the peers' bytes against our client, agent, helper and shell. It
// exports nothing.
//
// The tests compare what our side sends with the recording, message by message, as
// decoded values. Values that differ in any two runs are replaced first: nonces,
// password hashes, secrets, client ids and ports. Other differences are deviations. A
// table lists each deviation with the rule that causes it; a deviation that does not
// happen fails the test too.
//
// The broker is played in virtual time. The other programs need real sockets, terminals
// or processes, so their tests run in real time.
package replay
