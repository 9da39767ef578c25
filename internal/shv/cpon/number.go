package cpon

import (
	"math"
	"strconv"

	"shvtools/internal/shv/chainpack"
)

// number reads an Int, UInt, Decimal or Double (spec.md 2.1). A point or an e makes it a Decimal, a
// p a Double.
func (p *parser) number() (v chainpack.Value, err error) {
	start := p.off
	neg := p.text[start] == '-'
	if neg || p.text[start] == '+' {
		p.off++
	}
	switch {
	case p.peek(0) == '0' && p.peek(1) == 'x':
		v, err = p.hexNumber(start, neg)
	case p.peek(0) == '0' && p.peek(1) == 'b':
		v, err = p.based(start, neg, 2)
	default:
		v, err = p.decNumber(start, neg)
	}
	if err == nil && isWord(p.peek(0)) {
		return v, p.errorAt(start, "malformed number")
	}
	return v, err
}

// span consumes the bytes that ok accepts and returns their number.
func (p *parser) span(ok func(byte) bool) int {
	from := p.off
	for p.off < len(p.text) && ok(p.text[p.off]) {
		p.off++
	}
	return p.off - from
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// based reads the digits of a 0x or 0b Int. It refuses a u, as pyshv does.
func (p *parser) based(start int, neg bool, base int) (v chainpack.Value, err error) {
	p.off += 2
	from := p.off
	if p.span(isHex) == 0 {
		return v, p.errorAt(start, "malformed number")
	}
	mag, err := strconv.ParseUint(string(p.text[from:p.off]), base, 64)
	return p.signed(start, neg, mag, err)
}

// signed makes an Int of sign and magnitude; err is that of strconv.
func (p *parser) signed(start int, neg bool, mag uint64, err error) (v chainpack.Value, _ error) {
	switch {
	case err != nil && err.(*strconv.NumError).Err == strconv.ErrSyntax:
		return v, p.errorAt(start, "malformed number")
	case err != nil || mag > 1<<63 || mag == 1<<63 && !neg:
		return v, p.errorAt(start, "Int out of range")
	case neg:
		return chainpack.Int(-int64(mag)), nil
	default:
		return chainpack.Int(int64(mag)), nil
	}
}

// hexNumber reads a 0x Int, or a Double in the form 0x1.8p+3.
func (p *parser) hexNumber(start int, neg bool) (v chainpack.Value, err error) {
	first := p.off
	p.off += 2
	digits := p.span(isHex)
	if c := p.peek(0); c != '.' && c|0x20 != 'p' {
		p.off = first
		return p.based(start, neg, 16)
	}
	if p.peek(0) == '.' {
		p.off++
		digits += p.span(isHex)
	}
	if digits == 0 || p.peek(0)|0x20 != 'p' {
		return v, p.errorAt(start, "malformed number")
	}
	if _, err := p.exponent(start); err != nil {
		return v, err
	}
	f, err := strconv.ParseFloat(string(p.text[start:p.off]), 64)
	if err != nil {
		return v, p.errorAt(start, "Double out of range")
	}
	return chainpack.Double(f), nil
}

// exponent consumes e or p with the exponent that must follow. An exponent that does not fit
// becomes one that is out of range everywhere.
func (p *parser) exponent(start int) (int64, error) {
	const far = math.MaxInt32 * 4
	p.off++
	neg := p.peek(0) == '-'
	if neg || p.peek(0) == '+' {
		p.off++
	}
	from := p.off
	if p.span(isDigit) == 0 {
		return 0, p.errorAt(start, "malformed number")
	}
	exp, err := strconv.ParseInt(string(p.text[from:p.off]), 10, 64)
	if err != nil || exp > far {
		exp = far
	}
	if neg {
		exp = -exp
	}
	return exp, nil
}

// decNumber reads a number with decimal digits.
func (p *parser) decNumber(start int, neg bool) (v chainpack.Value, err error) {
	from := p.off
	if p.span(isDigit) == 0 {
		return v, p.errorAt(start, "malformed number")
	}
	whole := p.text[from:p.off]
	switch c := p.peek(0); {
	case c == '.' || c|0x20 == 'e':
		return p.fraction(start, neg, whole)
	case c|0x20 == 'p':
		return p.binaryExponent(start, from)
	}
	mag, err := strconv.ParseUint(string(whole), 10, 64)
	if p.peek(0) != 'u' {
		return p.signed(start, neg, mag, err)
	}
	p.off++
	switch {
	case neg:
		return v, p.errorAt(start, "UInt with a sign")
	case err != nil:
		return v, p.errorAt(start, "UInt out of range")
	}
	return chainpack.UInt(mag), nil
}

// fraction reads the rest of a Decimal exactly: all digits count. Only the end of 1.25p-2 shows
// that it is a Double.
func (p *parser) fraction(start int, neg bool, whole []byte) (v chainpack.Value, err error) {
	digits := append([]byte(nil), whole...)
	from := p.off - len(whole)
	var exp int64
	if p.peek(0) == '.' {
		p.off++
		n := p.span(isDigit)
		digits = append(digits, p.text[p.off-n:p.off]...)
		exp = -int64(n)
	}
	switch p.peek(0) | 0x20 {
	case 'p':
		return p.binaryExponent(start, from)
	case 'e':
		e, err := p.exponent(start)
		if err != nil {
			return v, err
		}
		exp += e
	}
	mag, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || mag > 1<<63 || mag == 1<<63 && !neg || exp < math.MinInt32 || exp > math.MaxInt32 {
		return v, p.errorAt(start, "Decimal out of range")
	}
	if neg {
		mag = -mag
	}
	return chainpack.Decimal(int64(mag), int32(exp)), nil
}

// binaryExponent reads the p of a Double with decimal digits, which begin at from: 1.25p-2 is
// 1.25·2⁻².
func (p *parser) binaryExponent(start, from int) (v chainpack.Value, err error) {
	mantissa := string(p.text[from:p.off])
	exp, err := p.exponent(start)
	if err != nil {
		return v, err
	}
	f, err := strconv.ParseFloat(mantissa, 64)
	if err == nil {
		f = math.Ldexp(f, int(max(min(exp, 1<<20), -1<<20)))
	}
	if err != nil || math.IsInf(f, 0) {
		return v, p.errorAt(start, "Double out of range")
	}
	if p.text[start] == '-' {
		f = -f
	}
	return chainpack.Double(f), nil
}
