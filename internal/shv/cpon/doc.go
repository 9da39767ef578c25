// Package cpon reads and writes CPON, the text form of SHV values (spec.md
// 2).
//
// Parse takes what people and other programs write: commas and colons are white
// space, comments and trailing commas are fine. Append writes one canonical
// line. It is not the pretty form of the logs, which puts names in place of
// numbers and cannot be parsed, nor JSON.
//
// What is printed parses back to an equal value, with three exceptions: a
// Decimal with a positive exponent may be written out (3·10² as 300., read back
// as 300·10⁰), the nearest to what the C library prints; infinities and NaN are
// printed as inf, -inf and nan for the eyes of people, and Parse refuses them,
// because no such number may enter a message; and values nested deeper than the
// limits are not read.
//
// Where readers of the C library and of pyshv differ, Parse is as strict as
// pyshv (section 2.4), except that it takes DateTimes in all their forms.
package cpon
