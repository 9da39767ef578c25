package conf

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Setting declares one setting of a program's configuration, which is a C.
type Setting[C any] struct {
	Key       string // in the file; a dot is a map in it
	Flag, Env string // "": none
	About     string // what it means, for --check-config and the documentation; "": it has no effect
	// Default, Lowest and Highest are as --print-config would write them.
	Default, Lowest, Highest string

	// Read puts a value into the configuration; nil: the file cannot say it.
	Read func(r *Reader, n *Node, c *C)
	// Lines shows the value. A line without a source has that of the setting.
	Lines func(c *C) []Line
	// Brief shows it for --check-config where that differs; nil: as Lines.
	Brief func(c *C) []Line

	list bool // a flag or variable gives a list
}

// Line is a line of --print-config. With an empty key it is a text that belongs to the
// line before. An empty text is shown as (none).
type Line struct{ Key, Text, Source string }

// Sources says of each setting, by its key, where its value comes from. A setting
// that has its default is not in it.
type Sources map[string]Place

// Of returns the source of a setting as it is printed.
func (s Sources) Of(key string) string {
	if at, ok := s[key]; ok {
		return at.String()
	}
	return "default"
}

// Value declares a setting that is one scalar.
func Value[C, T any](key, about string, t Type[T], field func(*C) *T) Setting[C] {
	return Setting[C]{
		Key: key, About: about, Lowest: t.Lowest, Highest: t.Highest,
		Read: func(r *Reader, n *Node, c *C) {
			if v, ok := t.Read(r, n); ok {
				*field(c) = v
			}
		},
		Lines: func(c *C) []Line { return []Line{{Key: key, Text: t.Show(*field(c))}} },
	}
}

// Int is Value for a field of type int.
func Int[C any](key, about string, t Type[int64], field func(*C) *int) Setting[C] {
	return Setting[C]{
		Key: key, About: about, Lowest: t.Lowest, Highest: t.Highest,
		Read: func(r *Reader, n *Node, c *C) {
			if v, ok := t.Read(r, n); ok {
				*field(c) = int(min(v, math.MaxInt))
			}
		},
		Lines: func(c *C) []Line { return []Line{{Key: key, Text: t.Show(int64(*field(c)))}} },
	}
}

// OnFlag returns s with a flag.
func (s Setting[C]) OnFlag(name string) Setting[C] {
	s.Flag = name
	return s
}

// OnEnv returns s with an environment variable.
func (s Setting[C]) OnEnv(name string) Setting[C] {
	s.Env = name
	return s
}

// OnList returns s as one that a flag or variable gives a list.
func (s Setting[C]) OnList() Setting[C] {
	s.list = true
	return s
}

// Table is all settings of a program, in the order in which they are printed.
type Table[C any] struct {
	Settings []Setting[C]
	// Notes are printed below what --check-config explains.
	Notes []string
}

// NewTable makes a table; defaults is a configuration that says nothing.
func NewTable[C any](defaults *C, settings ...Setting[C]) *Table[C] {
	for i := range settings {
		s := &settings[i]
		if s.Default == "" && s.Lines != nil {
			if lines := s.Lines(defaults); len(lines) > 0 {
				s.Default = lines[0].Text
			}
		}
	}
	return &Table[C]{Settings: settings}
}

// Declared is what a table says of a setting, for documentation and tests.
type Declared struct{ Key, Flag, Env, About, Default, Lowest, Highest string }

// Declared returns all settings that have an effect.
func (t *Table[C]) Declared() []Declared {
	var all []Declared
	for _, s := range t.Settings {
		if s.About != "" {
			all = append(all, Declared{s.Key, s.Flag, s.Env, s.About, s.Default, s.Lowest, s.Highest})
		}
	}
	return all
}

// Get returns the setting of a key. It panics where there is none: keys stand in the
// program.
func (t *Table[C]) Get(key string) Setting[C] {
	i := slices.IndexFunc(t.Settings, func(s Setting[C]) bool { return s.Key == key })
	if i < 0 {
		panic("conf: no setting " + key)
	}
	return t.Settings[i]
}

// target is what a table reads into.
type target[C any] struct {
	config  *C
	sources Sources
}

// Read reads a whole file into c and notes the sources. After a fault the setting
// keeps its value.
func (t *Table[C]) Read(r *Reader, root *Node, c *C, sources Sources) {
	ReadMap(r, root, &target[C]{c, sources}, t.fields(""))
}

// fields are the keys of the map at prefix, "" or such as "limits.".
func (t *Table[C]) fields(prefix string) (fields []Field[target[C]]) {
	seen := make(map[string]bool)
	for _, s := range t.Settings {
		rest, ok := strings.CutPrefix(s.Key, prefix)
		name, _, section := strings.Cut(rest, ".")
		if !ok || seen[name] || s.Read == nil {
			continue
		}
		seen[name] = true
		field := Field[target[C]]{Name: name, Silent: s.About == "", Read: s.read}
		if section {
			inner := t.fields(prefix + name + ".")
			field.Silent = false
			field.Read = func(r *Reader, n *Node, into *target[C]) { ReadMap(r, n, into, inner) }
		}
		fields = append(fields, field)
	}
	return fields
}

func (s Setting[C]) read(r *Reader, n *Node, into *target[C]) {
	faults := len(r.faults)
	s.Read(r, n, into.config)
	if len(r.faults) == faults {
		into.sources[s.Key] = n.KeyPlace()
	}
}

// Override reads the settings that flags and the environment give over those of the
// file; a flag takes precedence over the environment. An empty variable counts as unset.
func (t *Table[C]) Override(r *Reader, flag func(name string) (values []string, set bool),
	lookupEnv func(name string) (string, bool), c *C, sources Sources) {
	for _, s := range t.Settings {
		var n *Node
		if s.Env != "" {
			if text, ok := lookupEnv(s.Env); ok && text != "" {
				n = FromTexts(EnvPlace(s.Env), s.list, text)
			}
		}
		if s.Flag != "" {
			if values, ok := flag(s.Flag); ok {
				n = FromTexts(FlagPlace(s.Flag), s.list, values...)
			}
		}
		if n != nil {
			s.read(r, n, &target[C]{c, sources})
		}
	}
}

// Print writes all settings with their sources, one value in a line, and no secret.
// explain adds what each of them means, with its bounds.
func (t *Table[C]) Print(w io.Writer, c *C, sources Sources, explain bool) error {
	var b strings.Builder
	for _, s := range t.Settings {
		show := s.Lines
		if explain && s.Brief != nil {
			show = s.Brief
		}
		if show == nil {
			continue
		}
		for i, line := range show(c) {
			if line.Key == "" {
				fmt.Fprintf(&b, "  %s\n", line.Text)
				continue
			}
			if line.Source == "" {
				line.Source = sources.Of(s.Key)
			}
			fmt.Fprintf(&b, "%s: %s  # %s", line.Key, cmp.Or(line.Text, "(none)"), line.Source)
			if explain && i == 0 && s.About != "" {
				b.WriteString("; " + s.About)
				if s.Lowest != "" {
					fmt.Fprintf(&b, " (%s to %s)", s.Lowest, s.Highest)
				}
			}
			b.WriteByte('\n')
		}
	}
	if explain {
		for _, note := range t.Notes {
			fmt.Fprintf(&b, "# %s\n", note)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
