package chainpack

// Decode reads one value at the front of b and returns the number of bytes used; it ignores what
// follows. The value does not alias b. On an error (*SyntaxError or *LimitError) v is Null and n is
// 0.
func Decode(b []byte, lim Limits) (v Value, n int, err error) {
	r := newReader(b, lim)
	v, err = r.value()
	if err != nil {
		return Value{}, 0, err
	}
	return v, r.off, nil
}

// DecodeMeta reads only the MetaMap at the front of b, several merged into one, and returns the
// offset of the first byte after it. It does not look at the body, which may be missing or
// malformed. Without a MetaMap it returns nil, 0, nil.
func DecodeMeta(b []byte, lim Limits) (meta []Entry, n int, err error) {
	r := newReader(b, lim)
	// The value that the meta data belongs to counts as an item, so that Decode
	// of the whole never accepts more meta data than this.
	r.count++
	meta, err = r.metas()
	if err != nil {
		return nil, 0, err
	}
	return meta, r.off, nil
}

// smallMap and smallList are how many entries or items are collected on the stack of the goroutine,
// before a slice of the exact size is made of them. That must happen in one function: the array would
// escape to the heap if it were passed on or kept in the reader.
const (
	smallMap  = 8
	smallList = 8
)

func (r *reader) value() (Value, error) {
	if err := r.item(); err != nil {
		return Value{}, err
	}
	meta, err := r.metas()
	if err != nil {
		return Value{}, err
	}
	c, err := r.schema("value")
	if err != nil {
		return Value{}, err
	}
	v, err := r.bare(c)
	if err != nil || meta == nil {
		return v, err
	}
	return v.withOwnedMeta(meta), nil
}

func (r *reader) metas() ([]Entry, error) {
	if !r.at(ByteMetaMap) {
		return nil, nil
	}
	return r.mergedMetas()
}

// mergedMetas reads all MetaMaps before a value. Concatenation merges them: if a key occurs twice,
// the later entry counts.
func (r *reader) mergedMetas() ([]Entry, error) {
	var buf [smallMap]Entry
	entries := buf[:0]
	for r.at(ByteMetaMap) {
		if err := r.open(); err != nil {
			return nil, err
		}
		keys := keyRule{mixed: true}
		for !r.close() {
			e, err := r.entry(&keys)
			if err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
	}
	return exact(entries), nil
}

// bare reads a value that begins with c and has no meta data.
func (r *reader) bare(c byte) (v Value, err error) {
	switch {
	case c < bytePackedInt:
		r.off++
		return UInt(uint64(c)), nil
	case c < ByteNull:
		r.off++
		return Int(int64(c - bytePackedInt)), nil
	case c == ByteList:
		return r.list()
	case c == ByteMap:
		return r.mapValue(KindMap)
	case c == ByteIMap:
		return r.mapValue(KindIMap)
	}
	return r.scalar(c)
}

func (r *reader) scalar(c byte) (v Value, err error) {
	var raw []byte
	r.off++
	switch c {
	case ByteNull:
	case byteFalse, byteTrue:
		v = Bool(c == byteTrue)
	case byteUInt:
		v.kind = KindUInt
		v.num, err = r.uintData("UInt")
	case byteInt:
		var i int64
		i, err = r.intData("Int")
		v = Int(i)
	case byteDouble:
		v.kind = KindDouble
		v.num, err = r.double()
	case byteDecimal:
		var m int64
		v.kind = KindDecimal
		m, v.aux, err = r.decimal()
		v.num = uint64(m)
	case byteDateTime:
		var ms int64
		v.kind = KindDateTime
		ms, v.aux, err = r.dateTime()
		v.num = uint64(ms)
	case ByteString:
		raw, err = r.counted("String")
		v = String(string(raw))
	case ByteBlob:
		raw, err = r.counted("Blob")
		v = Blob(raw)
	case ByteCString:
		raw, err = r.cstring()
		v = String(string(unescapeCString(raw)))
	default:
		r.off--
		err = r.badSchema(c)
	}
	return v, err
}

func (r *reader) list() (Value, error) {
	if err := r.open(); err != nil {
		return Value{}, err
	}
	var buf [smallList]Value
	items := buf[:0]
	for !r.close() {
		v, err := r.value()
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
	}
	v := Value{kind: KindList}
	if len(items) > 0 {
		own := make([]Value, len(items))
		copy(own, items)
		v.box = &box{items: own}
	}
	return v, nil
}

func (r *reader) mapValue(kind Kind) (Value, error) {
	if err := r.open(); err != nil {
		return Value{}, err
	}
	var buf [smallMap]Entry
	entries := buf[:0]
	var keys keyRule
	for !r.close() {
		e, err := r.entry(&keys)
		if err != nil {
			return Value{}, err
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return Value{kind: kind}, nil
	}
	kind, _ = mapKind(entries[:1], kind)
	return Value{kind: kind, box: &box{entries: exact(entries)}}, nil
}

func (r *reader) entry(keys *keyRule) (Entry, error) {
	raw, err := r.nextKey(keys)
	if err != nil {
		return Entry{}, err
	}
	v, err := r.value()
	if err != nil {
		return Entry{}, err
	}
	return Entry{Key: raw.key(), Value: v}, nil
}

// exact returns a copy of entries on the heap, nil if there are none. It does not use slices.Clone,
// whose result may share the argument, so that the argument would escape.
func exact(entries []Entry) []Entry {
	if len(entries) == 0 {
		return nil
	}
	own := make([]Entry, len(entries))
	copy(own, entries)
	return own
}
