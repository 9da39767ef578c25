package chainpack_test

import (
	"errors"
	"io"
	"testing"

	"shvtools/internal/shv/chainpack"
)

// scanMeta walks a message as a forwarder does: keys, a number, a text, the rest
// skipped.
func scanMeta(msg []byte) error {
	s := chainpack.NewScanner(msg, chainpack.Limits{})
	if err := s.Enter(chainpack.ByteMetaMap); err != nil {
		return err
	}
	for !s.Leave() {
		key, err := s.Int()
		if err != nil {
			return err
		}
		switch key {
		case 8:
			_, err = s.Int()
		case 9:
			_, err = s.Bytes()
		default:
			err = s.Skip()
		}
		if err != nil {
			return err
		}
	}
	return s.Skip()
}

func TestScannerWalksMessage(t *testing.T) {
	msg := unhex(t, "8b 41 41 48 43 49 86 04 74 65 73 74 4b 88 44 42 ff ff 8a 42 85 02 6c 73 ff 80")
	s := chainpack.NewScanner(msg, noLimits)
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s at %d: %v", what, s.Offset(), err)
		}
	}
	if c, err := s.Peek(); c != chainpack.ByteMetaMap || err != nil {
		t.Fatalf("Peek = %02x, %v", c, err)
	}
	check("Enter", s.Enter(chainpack.ByteMetaMap))
	for _, want := range []int64{1, 1, 8, 3, 9} {
		got, err := s.Int()
		if check("Int", err); got != want {
			t.Fatalf("Int = %d, want %d", got, want)
		}
	}
	got, err := s.Bytes()
	if check("Bytes", err); string(got) != "test" || cap(got) != 4 {
		t.Fatalf("Bytes = %q with capacity %d", got, cap(got))
	}
	_, err = s.Int()
	check("key 11", err)
	check("Skip", s.Skip())
	if !s.Leave() || s.Offset() != 18 {
		t.Fatalf("end of the meta not found, offset %d", s.Offset())
	}
	check("Enter body", s.Enter(chainpack.ByteIMap))
	_, err = s.Int()
	check("key 2", err)
	got, err = s.Bytes()
	if check("Blob", err); string(got) != "ls" {
		t.Fatalf("Blob = %q", got)
	}
	if !s.Leave() {
		t.Fatal("end of the body not found")
	}
	check("Null", s.Skip())
	if _, err := s.Peek(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Peek at the end: %v", err)
	}
	if s.Leave() {
		t.Error("Leave at the end")
	}
}

func TestScannerRefusesWhatItWasNotAskedFor(t *testing.T) {
	tests := []struct {
		name, in string
		f        func(*chainpack.Scanner) error
	}{
		{"Enter another container", "88 ff", func(s *chainpack.Scanner) error { return s.Enter(chainpack.ByteMap) }},
		{"Enter a scalar", "80", func(s *chainpack.Scanner) error { return s.Enter(chainpack.ByteNull) }},
		{"Enter nothing", "", func(s *chainpack.Scanner) error { return s.Enter(chainpack.ByteMap) }},
		{"Int of a String", "86 01 61", intOf},
		{"Int of a Double", "83 00 00 00 00 00 00 00 00", intOf},
		{"Int of TERM", "ff", intOf},
		{"Int of nothing", "", intOf},
		{"Int with meta", "8b ff 41", intOf},
		{"UInt beyond an Int", "81 f4 80 00 00 00 00 00 00 00", intOf},
		{"Bytes of an Int", "41", bytesOf},
		{"Bytes of Null", "80", bytesOf},
		{"Bytes of a cut Blob", "85 02 61", bytesOf},
		{"Bytes of a CString with escapes", "8e 5c 30 00", bytesOf},
		{"Skip TERM", "ff", (*chainpack.Scanner).Skip},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := chainpack.NewScanner(unhex(t, tt.in), noLimits)
			var se *chainpack.SyntaxError
			if err := tt.f(&s); !errors.As(err, &se) {
				t.Errorf("error %v, want a SyntaxError", err)
			}
		})
	}
	s := chainpack.NewScanner(unhex(t, "8e 61 62 00"), noLimits)
	if b, err := s.Bytes(); string(b) != "ab" || err != nil {
		t.Errorf("CString = %q, %v", b, err)
	}
	s = chainpack.NewScanner(unhex(t, "ff"), noLimits)
	if s.Leave() {
		t.Error("Leave without Enter")
	}
}

func TestScannerKeepsLimits(t *testing.T) {
	var le *chainpack.LimitError
	s := chainpack.NewScanner(unhex(t, "88 88 88 ff ff ff"), chainpack.Limits{Depth: 2})
	for range 2 {
		if err := s.Enter(chainpack.ByteList); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Enter(chainpack.ByteList); !errors.As(err, &le) {
		t.Errorf("third level: %v", err)
	}
	s = chainpack.NewScanner(unhex(t, "41 41 85 00"), chainpack.Limits{Items: 2})
	for range 2 {
		if _, err := s.Int(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Bytes(); !errors.As(err, &le) {
		t.Errorf("third item: %v", err)
	}
}

func intOf(s *chainpack.Scanner) error {
	_, err := s.Int()
	return err
}

func bytesOf(s *chainpack.Scanner) error {
	_, err := s.Bytes()
	return err
}

// skip is Scanner.Skip of one value with its length.
func skip(b []byte, lim chainpack.Limits) (n int, err error) {
	s := chainpack.NewScanner(b, lim)
	if err := s.Skip(); err != nil {
		return 0, err
	}
	return s.Offset(), nil
}
