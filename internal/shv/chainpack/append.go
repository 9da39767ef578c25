package chainpack

import (
	"encoding/binary"
	"math"
)

// Append appends the encoded form of v, meta data in front, and returns the
// extended slice. Forms are minimal, entries keep their order. It allocates
// only to grow dst.
func Append(dst []byte, v Value) []byte {
	if v.box != nil && len(v.box.meta) > 0 {
		dst = AppendMeta(dst, v.box.meta)
	}
	switch v.kind {
	case KindBool:
		return AppendBool(dst, v.num != 0)
	case KindInt:
		return AppendInt(dst, int64(v.num))
	case KindUInt:
		return AppendUInt(dst, v.num)
	case KindDouble:
		return AppendDouble(dst, math.Float64frombits(v.num))
	case KindDecimal:
		return AppendDecimal(dst, int64(v.num), v.aux)
	case KindBlob:
		dst = AppendUIntData(append(dst, ByteBlob), uint64(len(v.str)))
		return append(dst, v.str...)
	case KindString:
		return AppendString(dst, v.str)
	case KindDateTime:
		return appendIntData(append(dst, ByteDateTime), packDateTime(int64(v.num), v.aux))
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

// AppendMeta appends a MetaMap; the value that it belongs to must follow. An
// empty one is legal but pointless: leave it out.
func AppendMeta(dst []byte, entries []Entry) []byte {
	return appendEntries(append(dst, ByteMetaMap), entries)
}

func appendEntries(dst []byte, entries []Entry) []byte {
	for i := range entries {
		dst = AppendKey(dst, entries[i].Key)
		dst = Append(dst, entries[i].Value)
	}
	return append(dst, ByteTerm)
}

// AppendKey appends a key of a map: a String or an Int.
func AppendKey(dst []byte, k Key) []byte {
	if k.isInt {
		return AppendInt(dst, k.num)
	}
	return AppendString(dst, k.str)
}

// AppendNull appends a Null.
func AppendNull(dst []byte) []byte { return append(dst, ByteNull) }

// AppendBool appends a Bool.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, ByteTrue)
	}
	return append(dst, ByteFalse)
}

// AppendInt appends an Int.
func AppendInt(dst []byte, i int64) []byte {
	if i >= 0 && i < packedLimit {
		return append(dst, BytePackedInt|byte(i))
	}
	return appendIntData(append(dst, ByteInt), i)
}

// AppendUInt appends a UInt.
func AppendUInt(dst []byte, u uint64) []byte {
	if u < packedLimit {
		return append(dst, BytePackedUInt|byte(u))
	}
	return AppendUIntData(append(dst, ByteUInt), u)
}

// AppendDouble appends a Double.
func AppendDouble(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, ByteDouble), math.Float64bits(f))
}

// AppendDecimal appends the Decimal mantissa·10^exponent.
func AppendDecimal(dst []byte, mantissa int64, exponent int32) []byte {
	return appendIntData(appendIntData(append(dst, ByteDecimal), mantissa), int64(exponent))
}

// AppendStringHeader appends what precedes the n bytes of a String.
func AppendStringHeader(dst []byte, n int) []byte {
	return AppendUIntData(append(dst, ByteString), uint64(n))
}

// AppendString appends a String.
func AppendString(dst []byte, s string) []byte {
	return append(AppendStringHeader(dst, len(s)), s...)
}

// AppendBlobHeader appends what precedes the n bytes of a Blob.
func AppendBlobHeader(dst []byte, n int) []byte {
	return AppendUIntData(append(dst, ByteBlob), uint64(n))
}

// AppendBlob appends a Blob.
func AppendBlob(dst, b []byte) []byte {
	return append(AppendBlobHeader(dst, len(b)), b...)
}
