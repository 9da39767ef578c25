// Package cliapp is what the mains of the four programs share: running an
// urfave/cli application with one-line errors and exit codes, the log, the
// version, the login, and the ready file.
//
// It is the one package below cmd/ that may look at the environment and at the
// process's standard streams. What a program does lies elsewhere, in the package
// that stands for it; such a package gets everything it needs as values.
package cliapp
