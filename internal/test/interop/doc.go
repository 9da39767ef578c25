// Package interop tests our programs with those of other people: pyshv, its broker
// and shvcli, as PyPI has them. It holds tests alone, and is no test of Python
// programs: what is wrong with those is noted in the test that met it.
//
// `make interop` makes the virtual environment that the tests need, names it in
// SHV_INTEROP_VENV, and lets them write docs/interop.md, which tells what ran
// against what. Without the variable they are skipped.
//
// The peers in testdata are driven line by line (testdata/lines.py says how). Nothing
// waits for a fixed time or uses a fixed port.
package interop
