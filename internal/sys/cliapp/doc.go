// Package cliapp holds what the mains of the four programs share: running an
// urfave/cli application with one-line errors and exit codes, the log, the
// version, the login, and the ready file.
//
// Besides the mains, it is the only package that reads the environment and the
// process's standard streams. What a program does is in a package of its own, which
// gets everything it needs as values.
package cliapp
