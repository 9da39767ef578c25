package chainpack

import (
	"bytes"
	"math"
)

// reader walks through encoded bytes under Limits. It alone knows what is well-formed; Decode and
// Scanner differ only in what they keep.
type reader struct {
	b     []byte
	off   int
	depth int // containers open
	count int // values begun
	lim   Limits
}

func newReader(b []byte, lim Limits) reader { return reader{b: b, lim: lim.Effective()} }

// schema returns the next byte without consuming it.
func (r *reader) schema(what string) (byte, error) {
	if r.off >= len(r.b) {
		return 0, tooShort(r.off, what)
	}
	return r.b[r.off], nil
}

// at reports whether the next byte is c.
func (r *reader) at(c byte) bool { return r.off < len(r.b) && r.b[r.off] == c }

// item counts one more value.
func (r *reader) item() error {
	if r.count >= r.lim.Items {
		return &LimitError{Offset: r.off, What: "items", Limit: r.lim.Items}
	}
	r.count++
	return nil
}

// open consumes the opening byte of a container.
func (r *reader) open() error {
	if r.depth >= r.lim.Depth {
		return &LimitError{Offset: r.off, What: "depth", Limit: r.lim.Depth}
	}
	r.depth++
	r.off++
	return nil
}

// close consumes TERM if it comes next.
func (r *reader) close() bool {
	if !r.at(ByteTerm) {
		return false
	}
	r.depth--
	r.off++
	return true
}

func (r *reader) uintData(what string) (uint64, error) {
	num, st := readNumber(r.b[r.off:], false)
	if st != numOK {
		return 0, numError(r.off, what, st)
	}
	r.off += num.n
	return num.val, nil
}

func (r *reader) intData(what string) (int64, error) {
	num, st := readNumber(r.b[r.off:], true)
	if st != numOK {
		return 0, numError(r.off, what, st)
	}
	i, ok := num.signedValue()
	if !ok {
		return 0, numError(r.off, what, numTooBig)
	}
	r.off += num.n
	return i, nil
}

// double reads the eight bytes of a Double and returns its bits.
func (r *reader) double() (uint64, error) {
	if len(r.b)-r.off < 8 {
		return 0, tooShort(r.off, "Double")
	}
	var u uint64
	for i := 7; i >= 0; i-- {
		u = u<<8 | uint64(r.b[r.off+i])
	}
	r.off += 8
	return u, nil
}

// decimal reads mantissa and exponent.
func (r *reader) decimal() (mantissa int64, exponent int32, err error) {
	if mantissa, err = r.intData("Decimal mantissa"); err != nil {
		return 0, 0, err
	}
	at := r.off
	exp, err := r.intData("Decimal exponent")
	if err != nil {
		return 0, 0, err
	}
	if exp < math.MinInt32 || exp > math.MaxInt32 {
		return 0, 0, &SyntaxError{Offset: at, What: "Decimal exponent: more than 32 bits"}
	}
	return mantissa, int32(exp), nil
}

// dateTime reads the payload of a DateTime.
func (r *reader) dateTime() (msec int64, quarters int32, err error) {
	at := r.off
	payload, err := r.intData("DateTime")
	if err != nil {
		return 0, 0, err
	}
	msec, quarters, ok := unpackDateTime(payload)
	if !ok {
		return 0, 0, &SyntaxError{Offset: at, What: "DateTime: out of range"}
	}
	return msec, quarters, nil
}

// counted reads a length and that many bytes, which alias the input. It compares the length with
// what is left before it uses it.
func (r *reader) counted(what string) ([]byte, error) {
	at := r.off
	n, err := r.uintData(what)
	if err != nil {
		return nil, err
	}
	if n > uint64(len(r.b)-r.off) {
		return nil, tooShort(at, what)
	}
	start := r.off
	r.off += int(n)
	return r.b[start:r.off:r.off], nil
}

// cstring reads up to the first zero byte, whether that is escaped or not.
func (r *reader) cstring() ([]byte, error) {
	n := bytes.IndexByte(r.b[r.off:], 0)
	if n < 0 {
		return nil, tooShort(r.off, "CString")
	}
	start := r.off
	r.off += n + 1
	return r.b[start : start+n : start+n], nil
}

// unescapeCString resolves the two escapes that C and Python know (spec.md 1.6). It returns raw
// itself if there are none.
func unescapeCString(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '\\' && i+1 < len(raw) && (raw[i+1] == '\\' || raw[i+1] == '0') {
			i++
			c = raw[i]
			if c == '0' {
				c = 0
			}
		}
		out = append(out, c)
	}
	return out
}

// badSchema is the error for a byte that cannot begin a value.
func (r *reader) badSchema(c byte) error {
	what := "unknown schema byte"
	switch c {
	case ByteTerm:
		what = "TERM instead of a value"
	case 0x8f:
		what = "BlobChain is not supported"
	}
	return &SyntaxError{Offset: r.off, What: what}
}
