package helperline

import (
	"bytes"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// maxCause bounds the cause in a line, in bytes.
const maxCause = 1 << 10

// Ended is what the helper reports of a session that has ended, for the agent's record.
type Ended struct {
	Exit    *int   // exit status; nil: there is none
	Signal  string // that ended the program, such as "TERM"; "": none
	In, Out int64  // bytes from and to the user
	Cause   string // why the session ended before its program; "": the program ended
}

// Append appends the helper's line about the end.
func (e Ended) Append(dst []byte) []byte {
	entries := []chainpack.Entry{
		chainpack.F("in", chainpack.Int(e.In)),
		chainpack.F("out", chainpack.Int(e.Out)),
		chainpack.F("signal", chainpack.String(e.Signal)),
		chainpack.F("cause", chainpack.String(e.Cause[:min(len(e.Cause), maxCause)])),
	}
	if e.Exit != nil {
		entries = append(entries, chainpack.F("exit", chainpack.Int(int64(*e.Exit))))
	}
	v := chainpack.Map(chainpack.F("ended", chainpack.Map(entries...)))
	return append(cpon.Append(dst, v), '\n')
}

// ParseEnded reads such a line; ok is false for others.
func ParseEnded(text []byte) (e Ended, ok bool) {
	v, err := cpon.Parse(bytes.TrimSpace(text), chainpack.Limits{})
	if err != nil {
		return Ended{}, false
	}
	of, ok := v.Get("ended")
	if !ok || of.Kind() != chainpack.KindMap {
		return Ended{}, false
	}
	number := func(name string) (int64, bool) {
		field, _ := of.Get(name)
		return field.AsInt()
	}
	textOf := func(name string) string {
		field, _ := of.Get(name)
		s, _ := field.AsString()
		return s
	}
	e.In, _ = number("in")
	e.Out, _ = number("out")
	e.Signal, e.Cause = textOf("signal"), textOf("cause")
	if n, there := number("exit"); there && n >= 0 && n <= 255 {
		code := int(n)
		e.Exit = &code
	}
	return e, true
}
