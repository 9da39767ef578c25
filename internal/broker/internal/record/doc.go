// Package record knows the sessions that pass a broker, for the record of who did what
// (package audit): shells, commands and SFTP in tunnels and in band, calls of runCmd and
// runScript, and changes of files. docs/admin.md says what stands in a record.
//
// It decodes what it needs for that, within bounds, and nothing else: of launchRexec what
// is to be run, and of the end of a tunnel how it ended. It routes nothing. Its locks are
// taken last, so its methods may be called with those of the broker held; only Called and
// Begin may wait, for the disk, where the configuration requires a record of each session.
package record
