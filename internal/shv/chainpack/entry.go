package chainpack

import "strconv"

// Key is the key of an entry of a Map, IMap or MetaMap: a String or an Int. Keys can be compared
// with == and serve as keys of Go maps. The zero Key is the empty String.
type Key struct {
	str   string
	num   int64
	isInt bool
}

// StringKey returns a String key. It may hold any bytes.
func StringKey(s string) Key { return Key{str: s} }

// IntKey returns an Int key.
func IntKey(i int64) Key { return Key{num: i, isInt: true} }

// IsInt reports whether k is an Int key rather than a String key.
func (k Key) IsInt() bool { return k.isInt }

// Int returns the number of an Int key, 0 for a String key.
func (k Key) Int() int64 { return k.num }

// Str returns the text of a String key, "" for an Int key.
func (k Key) Str() string { return k.str }

// Entry is a key with its value. Entries keep the order in which they were given or received. If a
// key occurs twice, the last entry counts.
type Entry struct {
	Key   Key
	Value Value
}

// F returns an entry with a String key: a field of a Map.
func F(name string, v Value) Entry { return Entry{Key: StringKey(name), Value: v} }

// N returns an entry with an Int key: a numbered field of an IMap or MetaMap.
func N(num int64, v Value) Entry { return Entry{Key: IntKey(num), Value: v} }

// Lookup returns the value of a key in entries, such as those of Value.Meta.
func Lookup(entries []Entry, k Key) (Value, bool) {
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Key == k {
			return entries[i].Value, true
		}
	}
	return Value{}, false
}

// mapKind returns the kind of map that the keys make: String keys a Map, Int keys an IMap, whatever
// byte opened it (spec.md 1.7). An empty map has the kind that the caller passes. mixed reports
// keys of both types.
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

// textKeys replaces the Int keys of entries by their decimal text, in place.
func textKeys(entries []Entry) {
	for i, e := range entries {
		if e.Key.isInt {
			entries[i].Key = StringKey(strconv.FormatInt(e.Key.num, 10))
		}
	}
}
