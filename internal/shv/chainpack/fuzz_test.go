package chainpack_test

import (
	"bytes"
	"errors"
	"testing"

	"shvtools/internal/shv/chainpack"
)

func addSeeds(f *testing.F) {
	for _, b := range vectorBytes(f) {
		f.Add(b)
	}
	for _, row := range rows(f, "testdata/frames.txt", 2) {
		f.Add(unhex(f, row[1])[2:])
	}
	for _, s := range []string{
		"82 fd 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05", "8b ff 8b 41 42 ff 43", "8e 5c 30 5c 5c 00",
		"89 41 42 86 01 61 42 ff", "8d f4 7f ff ff ff ff ff ff ff", "86 f4 ff ff ff ff ff ff ff ff", "88 88 88 88",
	} {
		f.Add(unhex(f, s))
	}
}

// FuzzDecode checks that decode, append and decode again yields the same value, that Scanner.Skip
// and Decode agree on lengths and errors, and that meta data and body make up the whole.
func FuzzDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := chainpack.Limits{Depth: 20, Items: 1000}
		v, n, err := chainpack.Decode(b, lim)
		skipped, skipErr := skip(b, lim)
		meta, bodyAt, metaErr := chainpack.DecodeMeta(b, lim)
		if err != nil {
			if skipErr == nil || skipErr.Error() != err.Error() {
				t.Fatalf("Decode: %v, Skip: %v", err, skipErr)
			}
			return
		}
		if skipErr != nil || skipped != n {
			t.Fatalf("Decode: %d, Skip: %d, %v", n, skipped, skipErr)
		}
		if metaErr != nil {
			t.Fatalf("DecodeMeta: %v", metaErr)
		}
		body, m, err := chainpack.Decode(b[bodyAt:], lim)
		if err != nil || bodyAt+m != n || !body.WithMeta(meta...).Equal(v) {
			t.Fatalf("body: %d+%d of %d, %v", bodyAt, m, n, err)
		}
		out := chainpack.Append(nil, v)
		// Only CStrings and UInt keys have a longer form than they came in.
		longer := 8*bytes.Count(b[:n], []byte{chainpack.ByteCString}) + bytes.Count(b[:n], []byte{0x81})
		if len(out) > n+longer {
			t.Fatalf("%d bytes became %d", n, len(out))
		}
		w, m, err := chainpack.Decode(out, lim)
		if err != nil || m != len(out) || !w.Equal(v) {
			t.Fatalf("second decode of % x: %v", out, err)
		}
		if again := chainpack.Append(nil, w); !bytes.Equal(again, out) {
			t.Fatalf("% x became % x", out, again)
		}
	})
}

// FuzzScanner checks that a Scanner stays inside the input, whatever it is asked to do, and that
// entering containers by hand ends where Skip ends.
func FuzzScanner(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := chainpack.Limits{Depth: 20, Items: 1000}
		want, skipErr := skip(b, lim)
		s := chainpack.NewScanner(b, chainpack.Limits{Depth: 20, Items: 3000})
		err := walk(&s)
		if s.Offset() > len(b) {
			t.Fatalf("offset %d of %d", s.Offset(), len(b))
		}
		if skipErr == nil && (err != nil || s.Offset() != want) {
			t.Fatalf("walk: %d, %v, Skip: %d", s.Offset(), err, want)
		}
		if u, n, err := chainpack.UIntData(b); err == nil {
			out := chainpack.AppendUIntData(nil, u)
			if w, m, err := chainpack.UIntData(out); w != u || m != len(out) || m > n || err != nil {
				t.Fatalf("UIntData: %d, then %d, %v", u, w, err)
			}
		}
	})
}

// walk consumes one value by the methods for its type.
func walk(s *chainpack.Scanner) error {
	c, err := s.Peek()
	if err != nil {
		return err
	}
	switch {
	case c < chainpack.ByteNull, c == 0x82:
		_, err = s.Int()
		return err
	case c == chainpack.ByteString, c == chainpack.ByteBlob:
		_, err = s.Bytes()
		return err
	case c < chainpack.ByteList || c > chainpack.ByteMetaMap:
		return s.Skip()
	}
	if err := s.Enter(c); err != nil {
		return err
	}
	for !s.Leave() {
		if c != chainpack.ByteList {
			if err := s.Skip(); err != nil { // the key
				return err
			}
		}
		if err := walk(s); err != nil {
			return err
		}
	}
	if c == chainpack.ByteMetaMap {
		return walk(s)
	}
	return nil
}

func TestErrorsAreOfTwoTypes(t *testing.T) {
	var se *chainpack.SyntaxError
	var le *chainpack.LimitError
	_, _, err := chainpack.UIntData([]byte{0xfe})
	if !errors.As(err, &se) || errors.As(err, &le) || se.Error() == "" {
		t.Errorf("reserved head: %v", err)
	}
}
