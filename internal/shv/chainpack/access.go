package chainpack

import (
	"math"
	"slices"
	"time"
)

// Kind returns the kind of v.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is Null, with or without meta data.
func (v Value) IsNull() bool { return v.kind == KindNull }

// AsBool returns a Bool; ok is false for any other kind.
func (v Value) AsBool() (b, ok bool) {
	return v.kind == KindBool && v.num != 0, v.kind == KindBool
}

// AsInt returns an Int, or a UInt that fits; ok is false for anything else.
func (v Value) AsInt() (i int64, ok bool) {
	if v.kind == KindInt || v.kind == KindUInt && v.num <= math.MaxInt64 {
		return int64(v.num), true
	}
	return 0, false
}

// AsUInt returns a UInt, or an Int that is not negative.
func (v Value) AsUInt() (u uint64, ok bool) {
	if v.kind == KindUInt || v.kind == KindInt && int64(v.num) >= 0 {
		return v.num, true
	}
	return 0, false
}

// AsDouble returns a Double. A Decimal is not converted.
func (v Value) AsDouble() (f float64, ok bool) {
	if v.kind != KindDouble {
		return 0, false
	}
	return math.Float64frombits(v.num), true
}

// AsDecimal returns a Decimal as mantissa·10^exponent.
func (v Value) AsDecimal() (mantissa int64, exponent int32, ok bool) {
	if v.kind != KindDecimal {
		return 0, 0, false
	}
	return int64(v.num), v.aux, true
}

// AsString returns the bytes of a String, which need not be UTF-8. A Blob is
// not converted.
func (v Value) AsString() (s string, ok bool) {
	if v.kind != KindString {
		return "", false
	}
	return v.str, true
}

// AsBlob returns a copy of the bytes of a Blob. A String is not converted.
func (v Value) AsBlob() (b []byte, ok bool) {
	if v.kind != KindBlob {
		return nil, false
	}
	return []byte(v.str), true
}

// AsDateTime returns the milliseconds since the Unix epoch and the UTC offset in quarters of an
// hour that the value came with.
func (v Value) AsDateTime() (msec int64, offsetQuarters int, ok bool) {
	if v.kind != KindDateTime {
		return 0, 0, false
	}
	return int64(v.num), int(v.aux), true
}

// AsTime returns a DateTime in UTC.
func (v Value) AsTime() (t time.Time, ok bool) {
	if v.kind != KindDateTime {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(v.num)).UTC(), true
}

// Len returns the number of items of a List, of entries of a Map or IMap, or of bytes of a String
// or Blob. It is 0 for other kinds.
func (v Value) Len() int {
	switch {
	case v.kind == KindString || v.kind == KindBlob:
		return len(v.str)
	case v.box == nil:
		return 0
	default:
		return len(v.box.items) + len(v.box.entries)
	}
}

// At returns item i of a List, counted from 0, and Null if there is none.
func (v Value) At(i int) Value {
	if v.box == nil || i < 0 || i >= len(v.box.items) {
		return Value{}
	}
	return v.box.items[i]
}

// Items returns the items of a List, nil for other kinds. The caller must not write to the slice.
func (v Value) Items() []Value {
	if v.box == nil {
		return nil
	}
	return slices.Clip(v.box.items)
}

// Entries returns the entries of a Map or IMap in wire order, nil for other kinds. The caller must
// not write to the slice.
func (v Value) Entries() []Entry {
	if v.box == nil {
		return nil
	}
	return slices.Clip(v.box.entries)
}

// Get returns the value of a String key of a Map. The search is linear.
func (v Value) Get(name string) (Value, bool) { return Lookup(v.Entries(), StringKey(name)) }

// GetInt returns the value of an Int key of an IMap. The search is linear.
func (v Value) GetInt(num int64) (Value, bool) { return Lookup(v.Entries(), IntKey(num)) }

// Meta returns the meta data in wire order, nil if there is none. The caller must not write to the
// slice.
func (v Value) Meta() []Entry {
	if v.box == nil {
		return nil
	}
	return slices.Clip(v.box.meta)
}

// Equal reports whether v and w have the same kind, value and meta data. The order of keys counts.
// Doubles are compared by their bits, so NaN equals itself and 0 differs from −0; Decimals are
// compared by mantissa and exponent.
func (v Value) Equal(w Value) bool {
	if v.kind != w.kind || v.aux != w.aux || v.num != w.num || v.str != w.str {
		return false
	}
	if v.box == w.box {
		return true
	}
	return slices.EqualFunc(v.Items(), w.Items(), Value.Equal) &&
		slices.EqualFunc(v.Entries(), w.Entries(), equalEntry) &&
		slices.EqualFunc(v.Meta(), w.Meta(), equalEntry)
}

func equalEntry(a, b Entry) bool { return a.Key == b.Key && a.Value.Equal(b.Value) }
