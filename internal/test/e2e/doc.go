// Package e2e tests the four programs as their users have them: real binaries,
// real processes, real terminals, and the broker's journal beside that of the
// client's document. It holds tests alone.
//
// Nothing in it waits for a fixed time or uses a fixed port: tests wait for
// output, for files and for processes to come or go, each for patience at the
// most, and show the logs of all programs when that was not enough.
//
// SHV_RACE=1 builds the programs with the race detector, SHV_LONG=1 selects the
// long forms. SHV_INTEROP_VENV names a Python environment with pyshv, and
// SHV_INTEROP_RUST_BROKER the shvbroker of crates.io (scripts/rust-broker.sh builds
// it): both know no tunnels.
package e2e
