package conf

import (
	"bytes"
	"errors"
)

// The marks between which a YAML document stands. A file that has the first one must have the
// other: so its end can be told from a cut at a line end.
const (
	BeginMark = "---"
	EndMark   = "..."
)

// ErrNothing is the error of a file without a key.
var ErrNothing = errors.New("the file says nothing; it may have been cut off (want at least one key)")

// Errors of files that are not whole.
var (
	errNoEnd    = errors.New("the file was cut off: it begins with --- and does not end with ... (want both or neither)")
	errNoLine   = errors.New("the file seems to be cut off: its last line has no end (want a newline there)")
	errUnmarked = errors.New("the file was cut off, or is not ours: no --- at its beginning (want --- and ... around it)")
)

// Writer says who writes a file, and so what is expected of it.
type Writer uint8

// Who writes files.
const (
	People   Writer = iota // by hand
	Programs               // these programs, always with both marks
	// FormerPrograms are those before there were marks: such a file has none, but always an end of
	// its last line and something to say.
	FormerPrograms
)

// Whole makes a node of a YAML file, as YAML does, that says something and is whole as far
// as that can be seen. A file of people that seems to be cut off is a fault where the
// reader is for a reload, because what is in force is better than a part of its successor;
// else a warning. One that says nothing is always a fault. A file of programs must have
// both marks, and may say nothing between them.
//
// A cut at the end of a line cannot be seen in a file without marks.
func (r *Reader) Whole(file string, data []byte, by Writer) *Node {
	n := r.YAML(file, data)
	if n.kind == Faulty {
		return n
	}
	err := Cut(data)
	nothing := n.kind == Null || n.kind == Map && len(n.items) == 0
	switch {
	case by == Programs && err == nil && !Marked(data):
		r.FailAt(FilePlace(file), "%w", errUnmarked)
	case nothing && (by != Programs || err != nil):
		r.FailAt(FilePlace(file), "%w", ErrNothing)
	case err != nil:
		r.cut(FilePlace(file), err, by)
	}
	return n
}

func (r *Reader) cut(at Place, err error, by Writer) {
	if r.Reload || by != People {
		r.FailAt(at, "%w", err)
		return
	}
	r.warnings = append(r.warnings, note{nil, at, err})
}

// Marked reports whether a YAML file begins with ---, after comments.
func Marked(data []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		text := bytes.TrimRight(line, " \t\r\n")
		if len(text) > 0 && text[0] != '#' && text[0] != '%' {
			return bytes.Equal(text, []byte(BeginMark)) || bytes.HasPrefix(text, []byte(BeginMark+" "))
		}
	}
	return false
}

// Cut returns an error if a YAML file shows that it was cut off: its last line has no end, or it
// has the first mark alone. An empty file shows nothing of that.
func Cut(data []byte) error {
	if Marked(data) && !bytes.Equal(lastText(data), []byte(EndMark)) {
		return errNoEnd
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return errNoLine
	}
	return nil
}

// lastText is the last line that is neither blank nor a comment, without its end.
func lastText(data []byte) []byte {
	for {
		data = bytes.TrimRight(data, " \t\r\n")
		line := data[bytes.LastIndexByte(data, '\n')+1:]
		if len(data) == 0 || line[0] != '#' {
			return line
		}
		data = data[:len(data)-len(line)]
	}
}
