// Package e2e tests the four programs as users run them: real binaries, processes
// and terminals. It also compares the broker's journal with that of the recorded C++
// session (spec.md 13). It holds only tests.
//
// Tests use no fixed port, and no fixed time for anything that can be seen: they wait
// for output, files and the start or end of processes, each for at most patience. If
// that is not enough, they show the logs of all programs. A pause that is itself what
// a test is about has a comment that says so.
//
// SHV_RACE=1 builds the programs with the race detector, and SHV_LONG=1 selects the
// long forms. SHV_INTEROP_VENV names a Python environment with pyshv, and
// SHV_INTEROP_RUST_BROKER the shvbroker of crates.io (scripts/rust-broker.sh builds
// it). Neither of these brokers knows tunnels. SHV_RELEASE_BIN names a
// directory with the programs of the last release (make upgrade-test).
package e2e
