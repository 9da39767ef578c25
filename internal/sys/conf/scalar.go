package conf

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"shvtools/internal/shv/shvpath"
)

// Type says how the values of one type are written.
type Type[T any] struct {
	Name string // what it is, such as duration
	Want string // examples or alternatives: 90, 90s or 1m30s
	// Parse reads a text. Its error is ErrInvalid for a text that is not of the type, or
	// says what is wrong; it must not repeat what may be a secret.
	Parse func(text string) (T, error)
	// Show writes a value so that Parse reads it.
	Show func(T) string

	// Lowest and Highest are the bounds as Show writes them, "" where there are none.
	Lowest, Highest string
}

// ErrInvalid is the error of a Type's Parse for a text that is not of the type.
var ErrInvalid = errors.New("invalid")

// Of reads a text. The error says what is wrong and what is wanted.
func (t Type[T]) Of(text string) (T, error) {
	v, err := t.Parse(text)
	if errors.Is(err, ErrInvalid) {
		err = fmt.Errorf("invalid %s %q (want %s)", t.Name, text, t.Want)
	}
	return v, err
}

// Read reads a scalar. Where that fails it notes the fault and returns false.
func (t Type[T]) Read(r *Reader, n *Node) (v T, ok bool) {
	if !r.Is(n, Scalar, t.Want) {
		return v, false
	}
	v, err := t.Of(n.text)
	if err != nil {
		r.Fail(n, "%w", err)
		return v, false
	}
	return v, true
}

// ReadList reads a list of scalars, such as example, without those that are faulty.
func (t Type[T]) ReadList(r *Reader, n *Node, example string) []T {
	list := []T{}
	r.EachItem(n, example, func(item *Node) {
		if v, ok := t.Read(r, item); ok {
			list = append(list, v)
		}
	})
	return list
}

// ReadSome reads a scalar as a list of one, or a list.
func (t Type[T]) ReadSome(r *Reader, n *Node, example string) []T {
	if n.Kind() == List {
		return t.ReadList(r, n, example)
	}
	if v, ok := t.Read(r, n); ok {
		return []T{v}
	}
	return []T{}
}

// Between returns t with bounds.
func Between[T cmp.Ordered](t Type[T], lowest, highest T) Type[T] {
	bounded := t
	bounded.Lowest, bounded.Highest = t.Show(lowest), t.Show(highest)
	bounded.Parse = func(text string) (T, error) {
		v, err := t.Parse(text)
		if err == nil && (v < lowest || v > highest) {
			err = fmt.Errorf("%s %s is out of range (want %s to %s)", t.Name, text, bounded.Lowest, bounded.Highest)
		}
		return v, err
	}
	return bounded
}

// Bool is true or false.
var Bool = Type[bool]{
	Name: "value", Want: "true or false",
	Parse: func(text string) (bool, error) {
		if text != "true" && text != "false" {
			return false, ErrInvalid
		}
		return text == "true", nil
	},
	Show: strconv.FormatBool,
}

// Switch is a Bool that may also be written 1 or 0, as in the environment.
var Switch = Type[bool]{
	Name: "value", Want: "true or false",
	Parse: func(text string) (bool, error) {
		switch text {
		case "1":
			return true, nil
		case "0":
			return false, nil
		}
		return Bool.Parse(text)
	},
	Show: strconv.FormatBool,
}

// Text is any text.
var Text = Type[string]{
	Name: "text", Want: "one text",
	Parse: func(text string) (string, error) { return text, nil },
	Show:  func(text string) string { return text },
}

// Count is a number without a unit.
var Count = Type[int64]{
	Name: "number", Want: "a number such as 100",
	Parse: func(text string) (int64, error) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, ErrInvalid
		}
		return n, nil
	},
	Show: func(n int64) string { return strconv.FormatInt(n, 10) },
}

// Size is a number of bytes, with or without a unit of 1024.
var Size = Type[int64]{Name: "size", Want: "65536, 64k or 64KiB", Parse: parseSize, Show: showSize}

var sizeUnits = []struct {
	names string // separated by spaces, the one that is shown last
	size  int64
}{{"G GiB", 1 << 30}, {"M MiB", 1 << 20}, {"k K KiB", 1 << 10}, {"B", 1}}

func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "kKMGiB")
	unit := int64(1)
	if name := text[len(digits):]; name != "" {
		unit = 0
		for _, u := range sizeUnits {
			for known := range strings.FieldsSeq(u.names) {
				if known == name {
					unit = u.size
				}
			}
		}
		digits = strings.TrimRight(digits, " ")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || unit == 0 || n > math.MaxInt64/unit {
		return 0, ErrInvalid
	}
	return n * unit, nil
}

func showSize(n int64) string {
	for _, u := range sizeUnits {
		if n >= u.size && n%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(n/u.size, 10) + u.names[strings.LastIndexByte(u.names, ' ')+1:]
		}
	}
	return strconv.FormatInt(n, 10)
}

// Duration is a number of seconds, or numbers with the units ns, us, ms, s, m, h, d
// and w: 90, 90s, 1m30s, "1m 30s". The last number may do without its unit.
var Duration = Type[time.Duration]{Name: "duration", Want: "90, 90s or 1m30s", Parse: parseDuration, Show: showDuration}

func parseDuration(text string) (time.Duration, error) {
	var sum time.Duration
	for rest := text; rest != "" || text == ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		number := rest[:digits]
		rest = strings.TrimLeft(rest[digits:], " ")
		letters := strings.IndexAny(rest, " 0123456789.")
		if letters < 0 {
			letters = len(rest)
		}
		unit := rest[:letters]
		rest = strings.TrimLeft(rest[letters:], " ")
		if unit == "" && rest == "" {
			unit = "s"
		}
		d, ok := durationOf(number, unit)
		if sum += d; !ok || sum < 0 {
			return 0, ErrInvalid
		}
	}
	return sum, nil
}

// durationOf is a number of a unit.
func durationOf(number, unit string) (time.Duration, bool) {
	if len(unit) == 1 {
		unit = strings.ToLower(unit) // as ssh has it
	}
	factor := time.Duration(1)
	switch unit {
	case "":
		return 0, false
	case "d":
		unit, factor = "h", 24
	case "w":
		unit, factor = "h", 7*24
	}
	d, err := time.ParseDuration(number + unit)
	return d * factor, err == nil && number != "" && d <= math.MaxInt64/factor
}

// showDuration leaves out the zeros at the end: 1m, not 1m0s.
func showDuration(d time.Duration) string {
	text := d.String()
	if d >= time.Minute || d <= -time.Minute {
		for _, zero := range []string{"m0s", "h0m"} {
			if rest, ok := strings.CutSuffix(text, zero); ok {
				text = rest + zero[:1]
			}
		}
	}
	return text
}

// Path is an SHV path; it is read clean, without needless slashes.
var Path = Type[string]{
	Name: "path", Want: "a path such as plant/pump7",
	Parse: func(text string) (string, error) { return string(shvpath.Clean([]byte(text))), nil },
	Show:  func(path string) string { return path },
}

// Pattern is a pattern of SHV paths.
var Pattern = Type[shvpath.Pattern]{
	Name: "pattern", Want: "a pattern of paths such as plant/**",
	Parse: shvpath.ParsePattern,
	Show:  shvpath.Pattern.String,
}

// Either is the type of a choice between two words; its value says whether it is the second one.
func Either(name, first, second string) Type[bool] {
	return Type[bool]{
		Name: name, Want: first + " or " + second,
		Parse: func(text string) (bool, error) {
			if text != first && text != second {
				return false, ErrInvalid
			}
			return text == second, nil
		},
		Show: func(isSecond bool) string {
			if isSecond {
				return second
			}
			return first
		},
	}
}
