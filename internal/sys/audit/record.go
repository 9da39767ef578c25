package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shvtools/internal/sys/visible"
)

// Event is what a record is about.
type Event string

// The events.
const (
	Login         Event = "login"
	LoginRefused  Event = "login.refused"
	Logout        Event = "logout"
	Mount         Event = "mount"
	Unmount       Event = "unmount"
	Takeover      Event = "takeover" // a device took the mount point of another one
	SessionStart  Event = "session.start"
	SessionEnd    Event = "session.end"
	CallDenied    Event = "call.denied"
	RightsChanged Event = "rights.changed"
	Reload        Event = "reload"
	RecordsLost   Event = "records.lost" // records before this one could not be written
)

// isRefusal reports whether peers can provoke the event without a right, so that its
// records are limited.
func (e Event) isRefusal() bool { return e == LoginRefused || e == CallDenied }

// isSession reports whether the event is written to the log, too.
func (e Event) isSession() bool { return e == SessionStart || e == SessionEnd }

// Record is one event. An empty field is left out. Texts may come from peers: they are
// escaped and cut.
type Record struct {
	Event   Event
	User    string // the chain of users if it is known
	Peer    string // the address that the user comes from; at a device the broker's
	Client  int64  // the number of the connection at the broker
	Path    string
	Device  string // its place in the tree where Path does not say it
	Method  string
	Session string // the name of the session, which is the same at the broker and the device
	Use     string // shell, commands, scripts, files or sftp
	Command string // as a whole, unless Short; the trail shortens it as it is configured
	Short   bool   // Shorten was called
	Rule    string // that allowed it on the device
	RunAs   string // the account on the device
	Cause   string
	Entry   string // of rights.changed
	Change  string // of that entry: from what to what, without secrets
	End     *End   // of session.end and logout
	Count   int    // how many records this one stands for, if it is more than one

	// By and Source are what refusals are limited by, and By alone what lines of the log are; "":
	// User and Peer. Where User is a chain, its beginning is whatever the caller likes.
	By, Source string
}

// End says how a session ended.
type End struct {
	Exit     *int   // exit status; nil: unknown
	Signal   string // that ended the program, such as TERM; "": none
	BytesIn  int64  // towards the device
	BytesOut int64  // from the device
	Took     time.Duration
}

// Bounds of texts in a record, in bytes.
const (
	maxText    = 1 << 10
	maxPath    = 4 << 10
	maxCommand = 16 << 10
)

// line is a record as it is written. Keys are never renamed: see docs/admin.md.
type line struct {
	Time     string   `json:"time"`
	Program  string   `json:"program"`
	Event    Event    `json:"event"`
	User     string   `json:"user,omitempty"`
	Peer     string   `json:"peer,omitempty"`
	Client   int64    `json:"client,omitempty"`
	Path     string   `json:"path,omitempty"`
	Device   string   `json:"device,omitempty"`
	Method   string   `json:"method,omitempty"`
	Session  string   `json:"session,omitempty"`
	Use      string   `json:"use,omitempty"`
	Command  string   `json:"command,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	RunAs    string   `json:"runAs,omitempty"`
	Entry    string   `json:"entry,omitempty"`
	Change   string   `json:"change,omitempty"`
	Exit     *int     `json:"exit,omitempty"`
	Signal   string   `json:"signal,omitempty"`
	BytesIn  *int64   `json:"bytesIn,omitempty"`
	BytesOut *int64   `json:"bytesOut,omitempty"`
	Seconds  *float64 `json:"seconds,omitempty"`
	Cause    string   `json:"cause,omitempty"`
	Count    int      `json:"count,omitempty"`
	Cut      []string `json:"cut,omitempty"` // the keys whose texts were cut
}

// timeForm is RFC 3339 with milliseconds.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

// bounded returns a copy whose texts are valid, cut, and shortened as form says, and the
// keys of those that were cut.
func (r Record) bounded(form CommandForm) (Record, []string) {
	var cut []string
	note := func(key string, text string, shorter bool) string {
		if shorter {
			cut = append(cut, key)
		}
		return text
	}
	head := func(text *string, key string, most int) {
		short := strings.ToValidUTF8((*text)[:cutAt(*text, most)], "\uFFFD")
		*text = note(key, short, len(*text) > most)
	}
	// Callers write the beginning of a chain of users, and the nearest brokers its end.
	if len(r.User) > maxText {
		from := len(r.User) - maxText
		for from < len(r.User) && !utf8.RuneStart(r.User[from]) {
			from++
		}
		r.User = note("user", r.User[from:], true)
	}
	r.User = strings.ToValidUTF8(r.User, "\uFFFD")
	if !r.Short {
		r.Command = form.of(r.Command)
	}
	head(&r.Command, "command", maxCommand)
	head(&r.Path, "path", maxPath)
	head(&r.Device, "device", maxPath)
	for _, each := range []struct {
		key  string
		text *string
	}{
		{"peer", &r.Peer}, {"method", &r.Method}, {"session", &r.Session}, {"use", &r.Use}, {"rule", &r.Rule},
		{"runAs", &r.RunAs}, {"entry", &r.Entry}, {"cause", &r.Cause},
	} {
		head(each.text, each.key, maxText)
	}
	head(&r.Change, "change", maxPath)
	if r.End != nil {
		end := *r.End
		head(&end.Signal, "signal", maxText)
		r.End = &end
	}
	return r, cut
}

// cutAt returns the length of the beginning of a text that has at most so many bytes and
// does not end within a character.
func cutAt(text string, most int) int {
	if len(text) <= most {
		return len(text)
	}
	for n := most; n > most-utf8.UTFMax; n-- {
		if utf8.RuneStart(text[n]) {
			return n
		}
	}
	return most
}

// appendLine returns a bounded record as one line of JSON.
func appendLine(dst []byte, program string, at time.Time, r Record, cut []string) []byte {
	l := line{
		Time: at.UTC().Format(timeForm), Program: program, Event: r.Event, User: r.User, Peer: r.Peer, Client: r.Client,
		Path: r.Path, Device: r.Device, Method: r.Method, Session: r.Session, Use: r.Use, Command: r.Command,
		Rule: r.Rule, RunAs: r.RunAs, Entry: r.Entry, Change: r.Change, Cause: r.Cause, Count: r.Count, Cut: cut,
	}
	if r.End != nil {
		seconds := float64(r.End.Took.Round(time.Millisecond)) / float64(time.Second)
		l.Exit, l.Signal, l.Seconds = r.End.Exit, r.End.Signal, &seconds
		l.BytesIn, l.BytesOut = &r.End.BytesIn, &r.End.BytesOut
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	_ = e.Encode(l) // cannot fail: texts and finite numbers
	return visible.AppendJSON(dst, text.Bytes())
}

// CommandForm says how much of a command is recorded.
type CommandForm string

// The forms.
const (
	WholeCommand CommandForm = "whole"
	FirstWord    CommandForm = "first-word"
	HashedText   CommandForm = "hash" // SHA-256, to find a command that one knows
	NoCommand    CommandForm = "none"
)

// CommandForms returns all forms.
func CommandForms() []CommandForm {
	return []CommandForm{WholeCommand, FirstWord, HashedText, NoCommand}
}

func (f CommandForm) of(command string) string {
	switch {
	case command == "" || f == NoCommand:
		return ""
	case f == FirstWord:
		return firstWord(command)
	case f == HashedText:
		sum := sha256.Sum256([]byte(command))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return command
}

// firstWord returns the name of a program. *** replaces what may be something else, such as
// a variable with a secret or a quoted text.
func firstWord(command string) string {
	word := strings.TrimLeftFunc(command, unicode.IsSpace)
	if end := strings.IndexFunc(word, func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(";|&<>()", c)
	}); end >= 0 {
		word = word[:end]
	}
	odd := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("/._+-@[", c)
	}
	if word == "" || !utf8.ValidString(word) || strings.HasPrefix(word, "-") || strings.Contains(word, "//") ||
		strings.ContainsFunc(word, odd) {
		return "***"
	}
	return word
}

// CommandText returns a program and its arguments as one text, quoted as for a shell.
func CommandText(argv []string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		plain := func(c rune) bool {
			return c < utf8.RuneSelf && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("/._+-@%=:,", c)
		}
		if word != "" && !strings.ContainsFunc(word, plain) {
			b.WriteString(word)
			continue
		}
		b.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "'")
	}
	return b.String()
}
