// Package interop tests our programs with programs of others: pyshv, its broker and
// shvcli, in their versions on PyPI. It holds only tests. It does not test the Python
// programs: a test that meets one of their faults has a comment about it.
//
// `make interop` makes the virtual environment that the tests need and names it in
// SHV_INTEROP_VENV. Without that variable the tests are skipped. `make interop` also has
// them write docs/interop.md, which lists what ran against what.
//
// The tests drive the peers in testdata line by line; testdata/lines.py describes the
// protocol. No test waits for a fixed time or uses a fixed port.
package interop
