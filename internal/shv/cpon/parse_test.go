package cpon_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

func TestErrorsNameTheirPlace(t *testing.T) {
	tests := []struct {
		name, in  string
		line, col int
	}{
		{"empty", "", 1, 1},
		{"only blanks", " \n\t", 2, 2},
		{"second value", "1 2", 1, 3},
		{"second value behind a comment", "1 // x\n/* y */ 2", 2, 9},
		{"stray end", "]", 1, 1},
		{"wrong end", "[1}", 1, 3},
		{"List without end", "{\"a\":\n [1,2", 2, 2},
		{"Map without end", "\n\n  {1:2", 3, 3},
		{"meta without end", "<1:2", 1, 1},
		{"meta without value", "[<1:2>]", 1, 7},
		{"meta without value at the end", "<1:2>", 1, 6},
		{"key without value", "{\"a\"}", 1, 5},
		{"List as key", "{[]:1}", 1, 2},
		{"Double as key", "{1p1:1}", 1, 2},
		{"word as key", "i{1:2,a:3}", 1, 7},
		{"both kinds of keys", "{1:2,\"a\":3}", 1, 6},
		{"byte above 80 between tokens", "[1,\xc3\xa9]", 1, 4},
		{"other punctuation", "[1;2]", 1, 3},
		{"DEL", "\x7f1", 1, 1},
		{"// comment at the end", "1 // x", 1, 3},
		{"/* comment open", "[1\n/* x", 2, 1},
		{"half a comment", "/ 1", 1, 1},
		{"unknown word", "nil", 1, 1},
		{"word that goes on", "trueish", 1, 1},
		{"List of the C library", "a[1]", 1, 1},
		{"i without a Map", "i 1", 1, 1},
		{"sign alone", "-", 1, 1},
		{"point first", ".5", 1, 1},
		{"two points", "1.2.3", 1, 1},
		{"exponent without digits", "1e", 1, 1},
		{"exponent with sign only", "1p+", 1, 1},
		{"letters in a number", "12ab", 1, 1},
		{"two numbers in one", "1-2", 1, 1},
		{"0x alone", "0x", 1, 1},
		{"0b with 2", "0b102", 1, 1},
		{"0x with u", "0x1u", 1, 1},
		{"hex point without p", "0x1.8", 1, 1},
		{"hex point alone", "0x.p0", 1, 1},
		{"UInt with point", "1.u", 1, 1},
		{"negative UInt", "-1u", 1, 1},
		{"Int too big", "9223372036854775808", 1, 1},
		{"Int too small", "-9223372036854775809", 1, 1},
		{"hex Int too big", "0x8000000000000000", 1, 1},
		{"hex Int far too big", "0x10000000000000000", 1, 1},
		{"UInt too big", "18446744073709551616u", 1, 1},
		{"Decimal too long", "0.12345678901234567890", 1, 1},
		{"Decimal exponent too big", "1e2147483648", 1, 1},
		{"Decimal exponent too small", "1.5e-2147483648", 1, 1},
		{"Decimal exponent beyond all", "1e99999999999999999999", 1, 1},
		{"Double too big", "0x1p1024", 1, 1},
		{"decimal Double too big", "1p99999999999999999999", 1, 1},
		{"NaN", "nan", 1, 1},
		{"infinity", "-inf", 1, 1},
		{"String without end", "[\"a]", 1, 2},
		{"String ending in a backslash", `"\`, 1, 1},
		{"Blob without end", `b"a`, 1, 1},
		{"Blob ending in a backslash", `b"\`, 1, 3},
		{"half a Blob escape", `b"\1"`, 1, 3},
		{"unknown Blob escape", `b"ab\x31"`, 1, 5},
		{"byte above 80 in a Blob", "b\"a\x80\"", 1, 4},
		{"hex Blob without end", `x"61`, 1, 1},
		{"half a hex digit pair", `x"616"`, 1, 5},
		{"blank in a hex Blob", `x"61 62"`, 1, 5},
		{"DateTime without end", `d"2018`, 1, 1},
		{"no such day", `d"2019-02-29T00:00:00Z"`, 1, 1},
		{"hour 24", `d"2018-02-02T24:00:00Z"`, 1, 1},
		{"second 60", `d"2018-02-02T00:00:60Z"`, 1, 1},
		{"one digit of a month", `d"2018-2-02"`, 1, 1},
		{"no seconds", `d"2018-02-02T00:00Z"`, 1, 1},
		{"no fraction", `d"2018-02-02T00:00:00.Z"`, 1, 1},
		{"zone of 10 minutes", `d"2018-02-02T00:00:00+0110"`, 1, 1},
		{"zone of a day", `d"2018-02-02T00:00:00+2300"`, 1, 1},
		{"something behind Z", `d"2018-02-02T00:00:00Z "`, 1, 1},
		{"year beyond range", `d"287999-02-02T00:00:00Z"`, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := cpon.Parse([]byte(tt.in), noLimits)
			var se *cpon.SyntaxError
			if !errors.As(err, &se) {
				t.Fatalf("Parse(%q) = %s, %v, want a SyntaxError", tt.in, cpon.String(v), err)
			}
			if se.Line != tt.line || se.Col != tt.col {
				t.Errorf("Parse(%q): %v, want line %d, column %d", tt.in, err, tt.line, tt.col)
			}
		})
	}
}

func TestFormsOfHandWrittenText(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"comments everywhere", "/*a*/<1/**/:2>//b\n{//c\n\"a\"/*:*/1}/**/ , //d\n", `<1:2>{"a":1}`},
		{"several metas", `<1:2><2:3,1:4> x""`, `<1:2,2:3,1:4>b""`},
		{"meta of both kinds", `<1:2,"a":3>i{}`, `<1:2,"a":3>i{}`},
		{"nested metas", `[<1:<2:3>4>5]`, `[<1:<2:3>4>5]`},
		{"UInt key", `{1u:2}`, `i{1:2}`},
		{"empty metas", `[<>1,<><>2]`, `[1,2]`},
		{"no separators", `["a"[1]{}null]`, `["a",[1],{},null]`},
		{"leading zeros", `[007,-0,+0u]`, `[7,0,0u]`},
		{"lowest Int", `-0x8000000000000000`, `-9223372036854775808`},
		{"negative zero Double", `-0x0p0`, `-0x0.p+0`},
		{"smallest Double", `0x1p-1074`, `0x1.p-1074`},
		{"Double too small", `0x1p-99999999999999999999`, `0x0.p+0`},
		{"capital X", `0X1`, ``},
		{"capital exponents", `[0x1P+3,2P1,1E5]`, `[0x1.p+3,0x1.p+2,100000.]`},
		{"Decimal with many places", `[0.05,0.0005,123e-2,0e5,0.00,1e7,1e8]`, `[0.05,5e-4,1.23,0e5,0.00,10000000.,1e8]`},
		{"Decimals of extreme exponents", `[1e2147483647,-7e-2147483647]`, `[1e2147483647,-7e-2147483647]`},
		{"lowest Decimal", `-9223372036854775808.`, `-9223372036854775808.`},
		{"raw control bytes", "\"\x01\x1b\x7f\"", "\"\x01\x1b\x7f\""},
		{"raw newline", "\"a\nb\"", `"a\nb"`},
		{"unknown escapes", `"\a\'\é"`, `"a'é"`},
		{"Blob", "b\"a\\\"\\\\\\0a\\FF\x01\"", `b"a\"\\\n\ff\01"`},
		{"fraction beyond milliseconds", `d"2018-02-02T00:00:00.1239999Z"`, `d"2018-02-02T00:00:00.123Z"`},
		{"zone with minutes", `d"2018-02-02T00:00:00-00:15"`, `d"2018-02-02T00:00:00-0015"`},
		{"five digit year", `d"12018-02-02T00:00:00Z"`, `d"12018-02-02T00:00:00Z"`},
		{"year before 0", `d"-0044-03-15 12:00:00"`, `d"-0044-03-15T12:00:00Z"`},
		{"leap day", `d"2000-02-29"`, `d"2000-02-29T00:00:00Z"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := cpon.Parse([]byte(tt.in), noLimits)
			if tt.want == "" {
				if err == nil {
					t.Errorf("Parse(%q) = %s, want an error", tt.in, cpon.String(v))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := cpon.String(v); got != tt.want {
				t.Errorf("Parse(%q) = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestDeepOrLongTextIsRefused(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name string
		in   string
		lim  chainpack.Limits
		what string
		col  int
	}{
		{"16 MiB of Lists", strings.Repeat("[", 16*mib), noLimits, "depth", 101},
		{"metas within metas", strings.Repeat("<1:", 4*mib), noLimits, "depth", 301},
		{"Maps", strings.Repeat("{1:", 4*mib), chainpack.Limits{Depth: 2}, "depth", 7},
		{"items", "[1,2,3]", chainpack.Limits{Items: 3}, "items", 6},
		{"2^20 items", "[" + strings.Repeat("1,", mib) + "]", noLimits, "items", 2 * mib},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := cpon.Parse([]byte(tt.in), tt.lim)
			var le *cpon.LimitError
			if !errors.As(err, &le) || le.What != tt.what || le.Line != 1 || le.Col != tt.col {
				t.Errorf("%v, want %s at column %d", err, tt.what, tt.col)
			}
		})
	}
	if _, err := cpon.Parse([]byte(strings.Repeat("[", 100)+strings.Repeat("]", 100)), noLimits); err != nil {
		t.Errorf("depth of 100: %v", err)
	}
}

func TestParsedValueDoesNotAliasText(t *testing.T) {
	in := []byte(`{"abc":"def","x":b"ghi"}`)
	want := string(in)
	v, err := cpon.Parse(in, noLimits)
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	if got := cpon.String(v); got != want {
		t.Errorf("changed with the text: %q", got)
	}
}

func TestFarDateTimesSurvive(t *testing.T) {
	for _, ms := range []int64{math.MaxInt64, math.MinInt64, -62135596800000, -62167219200001, 253402300800000} {
		for _, quarters := range []int{0, -64, 63, 1, -5} {
			v := chainpack.DateTime(ms, quarters)
			got, err := cpon.Parse(cpon.Append(nil, v), noLimits)
			if err != nil || !got.Equal(v) {
				t.Errorf("%s becomes %s, %v", cpon.String(v), cpon.String(got), err)
			}
		}
	}
}

// Terminal data may be any bytes. Printing and parsing must not lose any.
func TestEveryByteSurvivesInStringBlobAndKey(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c), '0', byte(255-c))
	}
	v := chainpack.List(chainpack.String(string(all)), chainpack.Blob(all),
		chainpack.Map(chainpack.F(string(all), chainpack.Null())))
	text := cpon.Append(nil, v)
	got, err := cpon.Parse(text, noLimits)
	if err != nil || !got.Equal(v) {
		t.Errorf("%q: %v", text, err)
	}
	if bytes.ContainsAny(text, "\n\r\x00") {
		t.Error("the text is not one line")
	}
}

func TestOddDoublesPrintButDoNotParse(t *testing.T) {
	for _, tt := range []struct {
		f    float64
		want string
	}{
		{math.NaN(), "nan"}, {math.Inf(1), "inf"}, {math.Inf(-1), "-inf"},
		{math.MaxFloat64, "0x1.fffffffffffffp+1023"}, {math.SmallestNonzeroFloat64, "0x1.p-1074"},
		{math.Copysign(0, -1), "-0x0.p+0"}, {1e10, "0x1.2a05f2p+33"}, {-0.1, "-0x1.999999999999ap-4"},
	} {
		got := cpon.String(chainpack.Double(tt.f))
		if got != tt.want {
			t.Errorf("%v prints as %s, want %s", tt.f, got, tt.want)
		}
		v, err := cpon.Parse([]byte(got), noLimits)
		if odd := math.IsNaN(tt.f) || math.IsInf(tt.f, 0); odd != (err != nil) || !odd && !v.Equal(chainpack.Double(tt.f)) {
			t.Errorf("%s: %v", got, err)
		}
	}
}
