package chainpack

import "strconv"

// Key is the key of a Map, IMap or MetaMap entry: a String or an Int. Keys are
// comparable with == and may key a Go map. The zero Key is the empty String.
type Key struct {
	str   string
	num   int64
	isInt bool
}

// StringKey returns a String key. Any bytes are allowed.
func StringKey(s string) Key { return Key{str: s} }

// IntKey returns an Int key.
func IntKey(i int64) Key { return Key{num: i, isInt: true} }

// IsInt tells an Int key from a String key.
func (k Key) IsInt() bool { return k.isInt }

// Int returns the number of an Int key, 0 for a String key.
func (k Key) Int() int64 { return k.num }

// Str returns the text of a String key, "" for an Int key.
func (k Key) Str() string { return k.str }

// Entry is one key with its value. Entries stay in the order in which they
// were given or received; where a key occurs twice the last one counts.
type Entry struct {
	Key   Key
	Value Value
}

// F returns an entry with a String key: a field of a Map.
func F(name string, v Value) Entry { return Entry{Key: StringKey(name), Value: v} }

// N returns an entry with an Int key: a numbered field of an IMap or MetaMap.
func N(num int64, v Value) Entry { return Entry{Key: IntKey(num), Value: v} }

// Lookup finds the value of a key in entries, as for example Value.Meta
// returns them.
func Lookup(entries []Entry, k Key) (Value, bool) {
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Key == k {
			return entries[i].Value, true
		}
	}
	return Value{}, false
}

// mapKind tells which kind of map the keys make (section 1.8 and the package
// rule: String keys make a Map, Int keys an IMap, whatever byte opened it).
// An empty map keeps the kind asked for.
func mapKind(entries []Entry, empty Kind) (k Kind, mixed bool) {
	if len(entries) == 0 {
		return empty, false
	}
	first := entries[0].Key.isInt
	for _, e := range entries[1:] {
		if e.Key.isInt != first {
			return KindMap, true
		}
	}
	if first {
		return KindIMap, false
	}
	return KindMap, false
}

// textKeys turns the Int keys of e into their decimal text, in place.
func textKeys(entries []Entry) {
	for i, e := range entries {
		if e.Key.isInt {
			entries[i].Key = StringKey(strconv.FormatInt(e.Key.num, 10))
		}
	}
}
