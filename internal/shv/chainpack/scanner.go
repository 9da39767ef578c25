package chainpack

// Scanner walks through encoded bytes without building values, such as a MetaMap of which few
// entries are of interest. After an error its position is undefined, so stop at the first. It
// allocates only for errors. The caller keeps track of keys and values in maps. Limits apply as for
// Decode. A Scanner must not be used concurrently.
type Scanner struct{ r reader }

// NewScanner returns a Scanner at the first byte of b. It aliases b.
func NewScanner(b []byte, lim Limits) Scanner { return Scanner{newReader(b, lim)} }

// Offset returns how many bytes were consumed.
func (s *Scanner) Offset() int { return s.r.off }

// Peek returns the schema byte of what comes next, without consuming it; at the end of a container
// that is ByteTerm. At the end of the input the error wraps io.ErrUnexpectedEOF.
func (s *Scanner) Peek() (byte, error) { return s.r.schema("value") }

// Enter consumes the opening byte of a container: ByteList, ByteMap, ByteIMap or ByteMetaMap.
// Anything else is an error.
func (s *Scanner) Enter(schema byte) error {
	c, err := s.r.schema("container")
	if err != nil {
		return err
	}
	if c != schema || c < ByteList || c > ByteMetaMap {
		return &SyntaxError{Offset: s.r.off, What: "not the container expected"}
	}
	if c != ByteMetaMap { // meta data belongs to a value, which is counted anyway
		if err := s.r.item(); err != nil {
			return err
		}
	}
	return s.r.open()
}

// Leave consumes TERM if it comes next and reports whether it did. At the end of the input it
// returns false, and the next call reports the error.
func (s *Scanner) Leave() bool { return s.r.depth > 0 && s.r.close() }

// Int consumes an Int, or a UInt that fits into int64. Meta data before it is an error.
func (s *Scanner) Int() (int64, error) {
	at := s.r.off
	k, err := s.scalar("Int")
	if err != nil {
		return 0, err
	}
	if k.typ != keyInt {
		return 0, &SyntaxError{Offset: at, What: "not an Int"}
	}
	return k.num, nil
}

// Bytes consumes a String or Blob and returns its content, which aliases the input. It accepts a
// CString without escapes. Meta data before it is an error.
func (s *Scanner) Bytes() ([]byte, error) {
	at := s.r.off
	if s.r.at(ByteBlob) {
		if err := s.r.item(); err != nil {
			return nil, err
		}
		s.r.off++
		return s.r.counted("Blob")
	}
	k, err := s.scalar("String")
	if err != nil {
		return nil, err
	}
	switch k.typ {
	case keyString:
		return k.raw, nil
	case keyCString:
		for _, c := range k.raw {
			if c == '\\' {
				return nil, &SyntaxError{Offset: at, What: "CString with escapes"}
			}
		}
		return k.raw, nil
	default:
		return nil, &SyntaxError{Offset: at, What: "not a String"}
	}
}

// scalar consumes an Int, UInt, String or CString, the types that a key can have.
func (s *Scanner) scalar(what string) (rawKey, error) {
	if _, err := s.r.schema(what); err != nil {
		return rawKey{}, err
	}
	if err := s.r.item(); err != nil {
		return rawKey{}, err
	}
	return s.r.key()
}

// Skip consumes one whole value with its meta data.
func (s *Scanner) Skip() error { return s.r.skip() }
