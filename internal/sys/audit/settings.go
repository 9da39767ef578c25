package audit

import (
	"slices"

	"shvtools/internal/sys/conf"
)

// Declare returns the settings of the section audit, which broker and agent share.
func Declare[C any](of func(*C) *Settings) []conf.Setting[C] {
	return []conf.Setting[C]{
		conf.Value("audit.file", "where the record of who did what is kept, one JSON object a line", conf.Text,
			func(c *C) *string { return &of(c).File }).OnFlag("audit"),
		conf.Value("audit.syslog", "whether it goes to the local syslog (facility authpriv)", conf.Bool,
			func(c *C) *bool { return &of(c).Syslog }),
		conf.Value("audit.fsync", "whether each record is on the disk before the next is written", conf.Bool,
			func(c *C) *bool { return &of(c).Fsync }),
		conf.Value("audit.unwritable", "what happens when a record cannot be written: warn, or refuse new sessions",
			unwritable,
			func(c *C) *bool { return &of(c).Refuse }),
		conf.Value("audit.command", "how much of a command is recorded and logged: whole, first-word, hash or none",
			commandForm,
			func(c *C) *CommandForm { return &of(c).Command }),
	}
}

// unwritable is read as whether sessions are refused.
var unwritable = conf.Either("value", "warn", "refuse")

var commandForm = conf.Type[CommandForm]{
	Name: "value", Want: "whole, first-word, hash or none",
	Parse: func(text string) (CommandForm, error) {
		if !slices.Contains(CommandForms(), CommandForm(text)) {
			return "", conf.ErrInvalid
		}
		return CommandForm(text), nil
	},
	Show: func(f CommandForm) string { return string(f) },
}

// Fault returns in words for operators what does not go together; "" if all does.
func (s Settings) Fault() string {
	if s.Refuse && !s.On() {
		return "refuse: sessions cannot be refused for what is recorded nowhere (want audit.file or audit.syslog too)"
	}
	return ""
}
