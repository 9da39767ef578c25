// Package conf is the one reader of configurations: all programs read theirs with
// it, so a fault reads the same in each of them.
//
// A Node is a value from a YAML file, a CPON file, the param of a call, a flag or
// the environment. A Reader reads nodes strictly and collects all faults and
// warnings, each as `file:line:col: key: what is wrong (want …)`. A Type says how
// values such as durations and sizes are written. A Table declares each setting of
// a program once: key, flag, environment variable, default, bounds and text; it
// reads them, and prints them for --print-config and --check-config.
//
// Reader.Whole refuses a file that says nothing or shows that it was cut off.
//
// It knows no configuration of any program.
package conf
