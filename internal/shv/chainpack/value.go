package chainpack

import (
	"math"
	"slices"
	"time"
)

// Value is one SHV value with its meta data, if any. The zero Value is Null. Values are immutable,
// so they may be copied and shared between goroutines. Compare them with Equal, not with ==.
type Value struct {
	kind Kind
	aux  int32  // Decimal: exponent; DateTime: offset in quarters of an hour
	num  uint64 // Bool, Int, UInt, Double (bits), Decimal (mantissa), DateTime (ms)
	str  string // String, Blob
	box  *box   // List, Map, IMap with contents; any value with meta
}

// box holds what few values have, which keeps a Value at 40 bytes.
type box struct {
	items   []Value
	entries []Entry
	meta    []Entry
}

// Null returns the Null value, which is the zero Value.
func Null() Value { return Value{} }

// Bool returns a Bool.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.num = 1
	}
	return v
}

// Int returns an Int.
func Int(i int64) Value { return Value{kind: KindInt, num: uint64(i)} }

// UInt returns a UInt.
func UInt(u uint64) Value { return Value{kind: KindUInt, num: u} }

// Double returns a Double. Infinities and NaN are coded like other bits, but must not be sent: the
// C library hangs on an infinity (spec.md 2.3).
func Double(f float64) Value { return Value{kind: KindDouble, num: math.Float64bits(f)} }

// Decimal returns the number mantissa·10^exponent. Other implementations need |mantissa| < 2^55 and
// an exponent from −128 to 127 (spec.md 1.4).
func Decimal(mantissa int64, exponent int32) Value {
	return Value{kind: KindDecimal, num: uint64(mantissa), aux: exponent}
}

// Blob returns a Blob with a copy of b.
func Blob(b []byte) Value { return Value{kind: KindBlob, str: string(b)} }

// String returns a String. It may hold any bytes: terminal data travels in Strings and is not
// always UTF-8 (spec.md 1.6).
func String(s string) Value { return Value{kind: KindString, str: s} }

// DateTime returns the instant msec milliseconds after the Unix epoch, shown with a UTC offset in
// quarters of an hour. Send offset 0 only, since some peers misread others (spec.md 1.5). Instants
// more than 2^53 ms from the epoch and offsets outside −64…63 cannot be encoded; they become the
// nearest that can.
func DateTime(msec int64, offsetQuarters int) Value {
	msec = min(max(msec, -maxDateTime), maxDateTime)
	offsetQuarters = min(max(offsetQuarters, minOffset), maxOffset)
	return Value{kind: KindDateTime, num: uint64(msec), aux: int32(offsetQuarters)}
}

// Time returns a DateTime in UTC, rounded down to whole milliseconds.
func Time(t time.Time) Value { return DateTime(t.UnixMilli(), 0) }

// List returns a List with a copy of items.
func List(items ...Value) Value {
	if len(items) == 0 {
		return Value{kind: KindList}
	}
	return Value{kind: KindList, box: &box{items: slices.Clone(items)}}
}

// Map returns a Map with a copy of entries, in their order. The keys decide the kind, as in a
// decoder: with Int keys only, the result is an IMap. A mixture cannot be encoded, so its Int keys
// become their decimal text.
func Map(entries ...Entry) Value { return newMap(KindMap, entries) }

// IMap returns an IMap with a copy of entries, in their order. The keys decide the kind as for Map.
func IMap(entries ...Entry) Value { return newMap(KindIMap, entries) }

func newMap(empty Kind, entries []Entry) Value {
	kind, mixed := mapKind(entries, empty)
	if len(entries) == 0 {
		return Value{kind: kind}
	}
	entries = slices.Clone(entries)
	if mixed {
		textKeys(entries)
	}
	return Value{kind: kind, box: &box{entries: entries}}
}

// WithMeta returns v with a copy of entries instead of its meta data; without entries, v has no
// meta data. Keys may be mixed.
func (v Value) WithMeta(entries ...Entry) Value {
	return v.withOwnedMeta(slices.Clone(entries))
}

// withOwnedMeta is WithMeta for a slice that nobody else writes to.
func (v Value) withOwnedMeta(meta []Entry) Value {
	if len(meta) == 0 && v.box == nil {
		return v
	}
	var nb box
	if v.box != nil {
		nb = *v.box
	}
	nb.meta = meta
	v.box = &nb
	return v
}
