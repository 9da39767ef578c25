package chainpack

import (
	"encoding/binary"
	"math"
)

// Append appends the encoded form of v with its meta data and returns the extended slice. Forms are
// minimal, and entries keep their order. It allocates only to grow dst.
func Append(dst []byte, v Value) []byte {
	if v.box != nil && len(v.box.meta) > 0 {
		dst = appendMeta(dst, v.box.meta)
	}
	switch v.kind {
	case KindBool:
		return appendBool(dst, v.num != 0)
	case KindInt:
		return AppendInt(dst, int64(v.num))
	case KindUInt:
		return appendUInt(dst, v.num)
	case KindDouble:
		return appendDouble(dst, math.Float64frombits(v.num))
	case KindDecimal:
		return appendDecimal(dst, int64(v.num), v.aux)
	case KindBlob:
		dst = AppendUIntData(append(dst, ByteBlob), uint64(len(v.str)))
		return append(dst, v.str...)
	case KindString:
		return AppendString(dst, v.str)
	case KindDateTime:
		return appendIntData(append(dst, byteDateTime), packDateTime(int64(v.num), v.aux))
	case KindList:
		dst = append(dst, ByteList)
		for _, item := range v.Items() {
			dst = Append(dst, item)
		}
		return append(dst, ByteTerm)
	case KindMap:
		return appendEntries(append(dst, ByteMap), v.Entries())
	case KindIMap:
		return appendEntries(append(dst, ByteIMap), v.Entries())
	default:
		return append(dst, ByteNull)
	}
}

// appendMeta appends a MetaMap, which the value that it belongs to must follow.
func appendMeta(dst []byte, entries []Entry) []byte {
	return appendEntries(append(dst, ByteMetaMap), entries)
}

func appendEntries(dst []byte, entries []Entry) []byte {
	for i := range entries {
		dst = appendKey(dst, entries[i].Key)
		dst = Append(dst, entries[i].Value)
	}
	return append(dst, ByteTerm)
}

// appendKey appends the key of an entry: a String or an Int.
func appendKey(dst []byte, k Key) []byte {
	if k.isInt {
		return AppendInt(dst, k.num)
	}
	return AppendString(dst, k.str)
}

// appendBool appends a Bool.
func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, byteTrue)
	}
	return append(dst, byteFalse)
}

// AppendInt appends an Int.
func AppendInt(dst []byte, i int64) []byte {
	if i >= 0 && i < packedLimit {
		return append(dst, bytePackedInt|byte(i))
	}
	return appendIntData(append(dst, byteInt), i)
}

// appendUInt appends a UInt.
func appendUInt(dst []byte, u uint64) []byte {
	if u < packedLimit {
		return append(dst, bytePackedUInt|byte(u))
	}
	return AppendUIntData(append(dst, byteUInt), u)
}

// appendDouble appends a Double.
func appendDouble(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, byteDouble), math.Float64bits(f))
}

// appendDecimal appends the Decimal mantissa·10^exponent.
func appendDecimal(dst []byte, mantissa int64, exponent int32) []byte {
	return appendIntData(appendIntData(append(dst, byteDecimal), mantissa), int64(exponent))
}

// AppendStringHeader appends what precedes the n bytes of a String.
func AppendStringHeader(dst []byte, n int) []byte {
	return AppendUIntData(append(dst, ByteString), uint64(n))
}

// AppendString appends a String.
func AppendString(dst []byte, s string) []byte {
	return append(AppendStringHeader(dst, len(s)), s...)
}
