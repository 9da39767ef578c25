package chainpack

import "math"

type keyType uint8

const (
	keyInt keyType = iota
	keyString
	keyCString
)

// rawKey is a key as it appears in the input.
type rawKey struct {
	typ keyType
	num int64
	raw []byte
}

func (k rawKey) key() Key {
	switch k.typ {
	case keyInt:
		return IntKey(k.num)
	case keyCString:
		return StringKey(string(unescapeCString(k.raw)))
	default:
		return StringKey(string(k.raw))
	}
}

// keyRule checks that the keys of one Map or IMap have one type. A MetaMap may mix them.
type keyRule struct {
	mixed, begun, isInt bool
}

// nextKey reads the key of an entry of the map that rule belongs to.
func (r *reader) nextKey(rule *keyRule) (rawKey, error) {
	at := r.off
	k, err := r.key()
	if err != nil {
		return k, err
	}
	isInt := k.typ == keyInt
	if rule.begun && !rule.mixed && isInt != rule.isInt {
		return k, &SyntaxError{Offset: at, What: "String and Int keys in one map"}
	}
	rule.begun, rule.isInt = true, isInt
	return k, nil
}

// key reads the key of an entry. Keys have no meta data.
func (r *reader) key() (k rawKey, err error) {
	c, err := r.schema("key")
	if err != nil {
		return k, err
	}
	at := r.off
	r.off++
	switch {
	case c < ByteNull:
		k.num = int64(c & (packedLimit - 1))
	case c == byteInt:
		k.num, err = r.intData("key")
	case c == byteUInt:
		var u uint64
		if u, err = r.uintData("key"); err == nil && u > math.MaxInt64 {
			return k, &SyntaxError{Offset: at, What: "UInt key: out of range"}
		}
		k.num = int64(u)
	case c == ByteString:
		k.typ = keyString
		k.raw, err = r.counted("key")
	case c == ByteCString:
		k.typ = keyCString
		k.raw, err = r.cstring()
	default:
		return k, &SyntaxError{Offset: at, What: "key is neither String nor Int"}
	}
	return k, err
}
