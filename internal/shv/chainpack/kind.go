package chainpack

// Kind tells the type of a Value.
type Kind uint8

// The kinds. Signed and unsigned integers are different types, and so are
// Double and Decimal, String and Blob (section 1.1).
const (
	KindNull Kind = iota
	KindBool
	KindInt
	KindUInt
	KindDouble
	KindDecimal
	KindBlob
	KindString
	KindDateTime
	KindList
	KindMap
	KindIMap
)

var kindNames = [...]string{
	KindNull:     "Null",
	KindBool:     "Bool",
	KindInt:      "Int",
	KindUInt:     "UInt",
	KindDouble:   "Double",
	KindDecimal:  "Decimal",
	KindBlob:     "Blob",
	KindString:   "String",
	KindDateTime: "DateTime",
	KindList:     "List",
	KindMap:      "Map",
	KindIMap:     "IMap",
}

// String returns the name the protocol uses for the type.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Kind(?)"
}

// Schema bytes: the first byte of an encoded value (section 1.2). 00–3f is a
// packed UInt 0…63 and 40–7f a packed Int 0…63; bytes not listed are refused.
const (
	bytePackedUInt = 0x00 // 00–3f: UInt 0…63
	bytePackedInt  = 0x40 // 40–7f: Int 0…63
	ByteNull       = 0x80
	byteUInt       = 0x81
	byteInt        = 0x82
	byteDouble     = 0x83
	ByteBlob       = 0x85
	ByteString     = 0x86
	ByteList       = 0x88
	ByteMap        = 0x89
	ByteIMap       = 0x8a
	ByteMetaMap    = 0x8b
	byteDecimal    = 0x8c
	byteDateTime   = 0x8d
	ByteCString    = 0x8e
	byteFalse      = 0xfd
	byteTrue       = 0xfe
	ByteTerm       = 0xff
)

// packedLimit is the first integer that no longer fits into its schema byte.
const packedLimit = 64
