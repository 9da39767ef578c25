package chainpack

// skip consumes one value with its meta data and builds nothing. It accepts exactly what value
// accepts, and allocates only for an error.
func (r *reader) skip() error {
	if err := r.item(); err != nil {
		return err
	}
	for r.at(ByteMetaMap) {
		if err := r.skipEntries(true); err != nil {
			return err
		}
	}
	c, err := r.schema("value")
	if err != nil {
		return err
	}
	switch c {
	case ByteList:
		return r.skipItems()
	case ByteMap, ByteIMap:
		return r.skipEntries(false)
	}
	return r.skipScalar(c)
}

func (r *reader) skipItems() error {
	if err := r.open(); err != nil {
		return err
	}
	for !r.close() {
		if err := r.skip(); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) skipEntries(meta bool) error {
	if err := r.open(); err != nil {
		return err
	}
	keys := keyRule{mixed: meta}
	for !r.close() {
		if _, err := r.nextKey(&keys); err != nil {
			return err
		}
		if err := r.skip(); err != nil {
			return err
		}
	}
	return nil
}

// skipScalar consumes a value that begins with c and is not a container.
func (r *reader) skipScalar(c byte) error {
	if c < ByteNull {
		r.off++
		return nil
	}
	var err error
	switch c {
	case ByteNull, byteFalse, byteTrue:
		r.off++
	case byteUInt:
		r.off++
		_, err = r.uintData("UInt")
	case byteInt:
		r.off++
		_, err = r.intData("Int")
	case byteDouble:
		r.off++
		_, err = r.double()
	case byteDecimal:
		r.off++
		_, _, err = r.decimal()
	case byteDateTime:
		r.off++
		_, _, err = r.dateTime()
	case ByteString:
		r.off++
		_, err = r.counted("String")
	case ByteBlob:
		r.off++
		_, err = r.counted("Blob")
	case ByteCString:
		r.off++
		_, err = r.cstring()
	default:
		err = r.badSchema(c)
	}
	return err
}
