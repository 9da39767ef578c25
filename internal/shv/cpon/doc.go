// Package cpon reads and writes CPON, the text form of SHV values (spec.md 2).
//
// Parse reads what people and other programs write: commas and colons are white space, comments and
// trailing commas are allowed. Append writes one canonical line. It is neither the pretty form of
// logs, which has names instead of numbers and cannot be parsed, nor JSON.
//
// What Append writes parses to an equal value, with three exceptions. A Decimal with a positive
// exponent may be written out, as the C library does: 3·10² as 300., which reads as 300·10⁰.
// Infinities and NaN are written for people as inf, -inf and nan, and Parse refuses them, because
// no message may hold them. And Parse refuses values that are nested more deeply than its limits
// allow.
//
// If the readers of the C library and of pyshv differ, Parse is as strict as pyshv (spec.md 2.4),
// except that it accepts all forms of DateTime.
package cpon
