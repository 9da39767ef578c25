package chainpack

// Kind is the type of a Value.
type Kind uint8

// The kinds. Signed and unsigned integers are different types, and so are Double and Decimal, String
// and Blob (spec.md 1.1).
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

// Schema bytes, the first byte of an encoded value (spec.md 1.2): those that a user of Scanner compares
// with.
const (
	ByteNull    = 0x80
	ByteBlob    = 0x85
	ByteString  = 0x86
	ByteList    = 0x88
	ByteMap     = 0x89
	ByteIMap    = 0x8a
	ByteMetaMap = 0x8b
	ByteCString = 0x8e
	ByteTerm    = 0xff // ends a container
)

// The other schema bytes. Bytes that neither list has are refused.
const (
	bytePackedUInt = 0x00 // 00–3f: UInt 0…63
	bytePackedInt  = 0x40 // 40–7f: Int 0…63
	byteUInt       = 0x81
	byteInt        = 0x82
	byteDouble     = 0x83
	byteDecimal    = 0x8c
	byteDateTime   = 0x8d
	byteFalse      = 0xfd
	byteTrue       = 0xfe
)

// packedLimit is the first integer that does not fit into its schema byte.
const packedLimit = 64
