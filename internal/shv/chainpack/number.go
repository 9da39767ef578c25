package chainpack

import (
	"io"
	"math"
	"math/bits"
)

// The forms of UInt data (spec.md 1.3): one to four bytes with the length in the
// leading ones of the first, then f0+n followed by n+4 bytes.
const (
	maxHead    = 0xfd // fe is reserved, ff cannot start a number
	longForm   = 0xf0
	longBits   = 28 // most value bits that the short forms hold
	longFormTo = 4  // bytes that follow f0
)

type numStatus uint8

const (
	numOK numStatus = iota
	numShort
	numBadHead
	numTooBig
)

// number is decoded UInt data: its value, and what Int data needs to find the sign.
type number struct {
	val  uint64
	neg  bool // the topmost value bit
	n    int  // bytes used
	bits uint // value bits of the form
}

// readNumber reads the form that UInt data and Int data share. If signed, it takes the topmost
// value bit out of the value.
func readNumber(b []byte, signed bool) (num number, st numStatus) {
	if len(b) == 0 {
		return num, numShort
	}
	head := b[0]
	if head > maxHead {
		return num, numBadHead
	}
	if head >= longForm {
		return readLong(b, signed)
	}
	n := bits.LeadingZeros8(^head) + 1
	if len(b) < n {
		return num, numShort
	}
	val := uint64(head & (0xff >> n))
	for _, c := range b[1:n] {
		val = val<<8 | uint64(c)
	}
	num = number{val: val, n: n, bits: uint(7 * n)}
	if signed {
		sign := uint64(1) << (num.bits - 1)
		num.neg = val&sign != 0
		num.val &^= sign
	}
	return num, numOK
}

// readLong reads the forms that begin with f0 to fd.
func readLong(b []byte, signed bool) (num number, st numStatus) {
	n := int(b[0]&0x0f) + longFormTo + 1
	if len(b) < n {
		return num, numShort
	}
	num = number{n: n, bits: uint(8 * (n - 1))}
	first := b[1]
	if signed {
		num.neg = first&0x80 != 0
		first &= 0x7f
	}
	num.val = uint64(first)
	for _, c := range b[2:n] {
		if num.val > math.MaxUint64>>8 {
			return num, numTooBig
		}
		num.val = num.val<<8 | uint64(c)
	}
	return num, numOK
}

// signedValue combines sign and magnitude. Negative zero is 0. It accepts −2^63, although the C
// library never sends it correctly (spec.md 1.3).
func (num number) signedValue() (i int64, ok bool) {
	switch {
	case num.val <= math.MaxInt64 && num.neg:
		return -int64(num.val), true
	case num.val <= math.MaxInt64:
		return int64(num.val), true
	case num.neg && num.val == 1<<63:
		return math.MinInt64, true
	default:
		return 0, false
	}
}

// errShortUInt is shared so that polling a stream for a whole length does not allocate.
var errShortUInt error = &SyntaxError{What: "UInt data", Err: io.ErrUnexpectedEOF}

// UIntData reads bare UInt data, the form of frame lengths, at the front of b and returns the
// number of bytes used. It accepts longer forms than needed. If b is too short, the error wraps
// io.ErrUnexpectedEOF.
func UIntData(b []byte) (u uint64, n int, err error) {
	num, st := readNumber(b, false)
	switch st {
	case numOK:
		return num.val, num.n, nil
	case numShort:
		return 0, 0, errShortUInt
	default:
		return 0, 0, numError(0, "UInt data", st)
	}
}

func numError(offset int, what string, st numStatus) error {
	switch st {
	case numShort:
		return tooShort(offset, what)
	case numBadHead:
		return &SyntaxError{Offset: offset, What: what + ": reserved first byte"}
	default:
		return &SyntaxError{Offset: offset, What: what + ": more than 64 bits"}
	}
}

// AppendUIntData appends bare UInt data in its shortest form.
func AppendUIntData(dst []byte, u uint64) []byte {
	return appendNumber(dst, u, bits.Len64(u), false)
}

// UIntDataLen returns the number of bytes that AppendUIntData appends for u.
func UIntDataLen(u uint64) int { return numberLen(bits.Len64(u)) }

// appendIntData appends Int data: sign and magnitude, with the sign in the topmost bit.
func appendIntData(dst []byte, i int64) []byte {
	mag, neg := uint64(i), i < 0
	if neg {
		mag = -mag // correct for −2^63, too
	}
	return appendNumber(dst, mag, bits.Len64(mag)+1, neg)
}

// numberLen returns the length of the shortest form with width value bits.
func numberLen(width int) int {
	switch {
	case width <= 7:
		return 1
	case width <= longBits:
		return (width + 6) / 7
	default:
		return max((width+7)/8, longFormTo) + 1
	}
}

// appendNumber appends val in the shortest form with at least width value bits; neg sets the
// topmost value bit.
func appendNumber(dst []byte, val uint64, width int, neg bool) []byte {
	n := numberLen(width)
	if width <= longBits {
		if neg {
			val |= 1 << (7*n - 1)
		}
		dst = append(dst, ^byte(0xff>>(n-1))|byte(val>>(8*(n-1))))
		for i := n - 2; i >= 0; i-- {
			dst = append(dst, byte(val>>(8*i)))
		}
		return dst
	}
	start := len(dst) + 1
	dst = append(dst, longForm|byte(n-1-longFormTo))
	for i := n - 2; i >= 0; i-- {
		dst = append(dst, byte(val>>(8*i))) // a shift of 64 gives the 0 of the ninth byte
	}
	if neg {
		dst[start] |= 0x80
	}
	return dst
}
