package cpon

import (
	"math"
	"strconv"

	"shvtools/internal/shv/chainpack"
)

// String returns the canonical text of v. See Append.
func String(v chainpack.Value) string { return string(Append(nil, v)) }

// Append appends the canonical one-line text of v with its meta data: no blanks, entries in their
// order, and Doubles in hex, which is exact.
func Append(dst []byte, v chainpack.Value) []byte {
	if meta := v.Meta(); len(meta) > 0 {
		dst = appendEntries(append(dst, '<'), meta, '>')
	}
	switch v.Kind() {
	case chainpack.KindBool:
		b, _ := v.AsBool()
		return strconv.AppendBool(dst, b)
	case chainpack.KindInt:
		i, _ := v.AsInt()
		return strconv.AppendInt(dst, i, 10)
	case chainpack.KindUInt:
		u, _ := v.AsUInt()
		return append(strconv.AppendUint(dst, u, 10), 'u')
	case chainpack.KindDouble:
		f, _ := v.AsDouble()
		return appendDouble(dst, f)
	case chainpack.KindDecimal:
		m, e, _ := v.AsDecimal()
		return appendDecimal(dst, m, e)
	case chainpack.KindBlob:
		b, _ := v.AsBlob()
		return appendBlob(dst, b)
	case chainpack.KindString:
		s, _ := v.AsString()
		return appendString(dst, s)
	case chainpack.KindDateTime:
		ms, q, _ := v.AsDateTime()
		return appendDateTime(dst, ms, q)
	case chainpack.KindList:
		return appendList(dst, v.Items())
	case chainpack.KindMap:
		return appendEntries(append(dst, '{'), v.Entries(), '}')
	case chainpack.KindIMap:
		return appendEntries(append(dst, 'i', '{'), v.Entries(), '}')
	default:
		return append(dst, "null"...)
	}
}

func appendList(dst []byte, items []chainpack.Value) []byte {
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = Append(dst, item)
	}
	return append(dst, ']')
}

func appendEntries(dst []byte, entries []chainpack.Entry, end byte) []byte {
	for i := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendKey(dst, entries[i].Key), ':')
		dst = Append(dst, entries[i].Value)
	}
	return append(dst, end)
}

// AppendKey appends a key in the form that maps have: a number or a quoted String.
func AppendKey(dst []byte, k chainpack.Key) []byte {
	if k.IsInt() {
		return strconv.AppendInt(dst, k.Int(), 10)
	}
	return appendString(dst, k.Str())
}

// appendString appends s as a quoted String. Only the escapes of spec.md 2.3 exist. Other control
// bytes and bytes that are not UTF-8 are written as they are, so the text of an untrusted value is
// not safe for a terminal.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		if e := printEscapes[s[i]]; e != 0 {
			dst = append(append(dst, s[from:i]...), '\\', e)
			from = i + 1
		}
	}
	return append(append(dst, s[from:]...), '"')
}

var printEscapes = [256]byte{
	0: '0', '\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r', '"': '"', '\\': '\\',
}

func appendBlob(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, 'b', '"')
	for _, c := range b {
		switch {
		case c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\\':
			dst = append(dst, '\\', printEscapes[c])
		case c < ' ' || c > '~':
			dst = append(dst, '\\', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// appendDouble writes hex floats as pyshv does, always with a point and with an unpadded exponent:
// 0x1.bep+7.
func appendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	var buf [32]byte
	hex := strconv.AppendFloat(buf[:0], f, 'x', -1, 64)
	point := false
	for i, c := range hex {
		switch {
		case c == '.':
			point = true
		case c == 'p' && !point:
			dst = append(dst, '.')
		case c == '0' && i == len(hex)-2 && !isDigit(hex[i-1]):
			continue // Go pads the exponent to two digits
		}
		dst = append(dst, c)
	}
	return dst
}

// Limits within which a Decimal is written out instead of with an exponent, so
// that the texts are those of the C library.
const (
	maxPlaces = 3 // digits after a leading "0."
	maxWhole  = 9 // digits before the point
)

// appendDecimal always writes a point or an exponent, since the text would be an Int without them.
func appendDecimal(dst []byte, mantissa int64, exponent int32) []byte {
	mag := uint64(mantissa)
	if mantissa < 0 {
		dst = append(dst, '-')
		mag = -mag
	}
	var buf [20]byte
	digits := strconv.AppendUint(buf[:0], mag, 10)
	n, places := int64(len(digits)), -int64(exponent) // an int may have 32 bits
	switch {
	case places == 0:
		return append(append(dst, digits...), '.')
	case places > 0 && places < n:
		dst = append(append(dst, digits[:n-places]...), '.')
		return append(dst, digits[n-places:]...)
	case places > 0 && places <= maxPlaces:
		dst = append(dst, '0', '.')
		dst = append(dst, "000"[:places-n]...)
		return append(dst, digits...)
	case places < 0 && n-places < maxWhole && mantissa != 0:
		dst = append(dst, digits...)
		dst = append(dst, "00000000"[:-places]...)
		return append(dst, '.')
	default:
		return strconv.AppendInt(append(append(dst, digits...), 'e'), int64(exponent), 10)
	}
}
