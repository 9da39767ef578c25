package cpon

import (
	"bytes"
	"strconv"
	"time"

	"shvtools/internal/shv/chainpack"
)

const quarterMs = int64(15 * time.Minute / time.Millisecond)

// dateTime reads d"…" in the forms of spec.md 2.2: T or a blank in the middle or a date alone,
// hours of one digit, a true fraction (cut after milliseconds), a zone with or without a colon, UTC
// without a zone.
func (p *parser) dateTime() (v chainpack.Value, err error) {
	start := p.off
	n := bytes.IndexByte(p.text[start+2:], '"')
	if n < 0 {
		return v, p.errorAt(start, "unterminated DateTime")
	}
	f := fields{b: p.text[start+2 : start+2+n]}
	msec, quarters := f.dateTime()
	if f.bad || len(f.b) > 0 {
		return v, p.errorAt(start, "malformed DateTime")
	}
	v = chainpack.DateTime(msec, quarters)
	if got, _, _ := v.AsDateTime(); got != msec { // it was cut
		return v, p.errorAt(start, "DateTime out of range")
	}
	p.off = start + n + 3
	return v, nil
}

// fields cuts a text into numbers. bad is set from the first error on.
type fields struct {
	b   []byte
	bad bool
}

// accept consumes c if it comes next.
func (f *fields) accept(c byte) bool {
	if len(f.b) == 0 || f.b[0] != c {
		return false
	}
	f.b = f.b[1:]
	return true
}

func (f *fields) expect(c byte) { f.bad = !f.accept(c) || f.bad }

// digits consumes lo to hi digits that make a number from minimum to maximum.
func (f *fields) digits(lo, hi, minimum, maximum int) int {
	n := 0
	for n < len(f.b) && n < hi && isDigit(f.b[n]) {
		n++
	}
	x, err := strconv.Atoi(string(f.b[:n]))
	if n < lo || err != nil || x < minimum || x > maximum {
		f.bad = true
		return minimum
	}
	f.b = f.b[n:]
	return x
}

func (f *fields) dateTime() (msec int64, quarters int) {
	before := f.accept('-')
	year := f.digits(4, 6, 0, 999999) // package chainpack checks the true limit
	if before {
		year = -year
	}
	f.expect('-')
	month := time.Month(f.digits(2, 2, 1, 12))
	f.expect('-')
	day := f.digits(2, 2, 1, 31)
	var hour, minute, second int
	var ms int64
	if len(f.b) > 0 {
		if !f.accept('T') {
			f.expect(' ')
		}
		hour = f.digits(1, 2, 0, 23)
		f.expect(':')
		minute = f.digits(2, 2, 0, 59)
		f.expect(':')
		second = f.digits(2, 2, 0, 59)
		ms = f.fraction()
		quarters = f.zone()
	}
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if t.Day() != day { // 31 April became 1 May
		f.bad = true
	}
	return t.UnixMilli() + ms - int64(quarters)*quarterMs, quarters
}

// fraction reads a fraction of a second: .5 is 500 ms.
func (f *fields) fraction() (ms int64) {
	if !f.accept('.') {
		return 0
	}
	n := 0
	for scale := int64(100); n < len(f.b) && isDigit(f.b[n]); n++ {
		ms += scale * int64(f.b[n]-'0')
		scale /= 10
	}
	f.bad = f.bad || n == 0
	f.b = f.b[n:]
	return ms
}

// zone reads Z, ±HH, ±HHMM or ±HH:MM; no zone is UTC.
func (f *fields) zone() (quarters int) {
	if len(f.b) == 0 || f.accept('Z') {
		return 0
	}
	west := f.accept('-')
	if !west {
		f.expect('+')
	}
	minutes := 60 * f.digits(2, 2, 0, 23)
	if f.accept(':') || len(f.b) > 0 {
		minutes += f.digits(2, 2, 0, 59)
	}
	if west {
		minutes = -minutes
	}
	quarters = minutes / 15
	if minutes%15 != 0 || quarters < -64 || quarters > 63 {
		f.bad = true
		return 0
	}
	return quarters
}

// appendDateTime writes local time with its offset, and milliseconds only if they are not 0.
func appendDateTime(dst []byte, msec int64, quarters int) []byte {
	t := time.UnixMilli(msec + int64(quarters)*quarterMs).UTC()
	dst = append(dst, `d"`...)
	year := t.Year()
	if year < 0 {
		dst = append(dst, '-')
		year = -year
	}
	dst = appendPadded(dst, year, 4)
	dst = t.AppendFormat(dst, "-01-02T15:04:05")
	if ms := t.Nanosecond() / int(time.Millisecond); ms != 0 {
		dst = appendPadded(append(dst, '.'), ms, 3)
	}
	if quarters == 0 {
		return append(dst, 'Z', '"')
	}
	sign := byte('+')
	if quarters < 0 {
		sign, quarters = '-', -quarters
	}
	dst = appendPadded(append(dst, sign), quarters/4, 2)
	if quarters%4 != 0 {
		dst = appendPadded(dst, quarters%4*15, 2)
	}
	return append(dst, '"')
}

// appendPadded writes n with at least width digits.
func appendPadded(dst []byte, n, width int) []byte {
	for limit := 10; width > 1; width-- {
		if n < limit {
			for ; width > 1; width-- {
				dst = append(dst, '0')
			}
			break
		}
		limit *= 10
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
