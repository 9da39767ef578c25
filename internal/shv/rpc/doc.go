// Package rpc is the SHV RPC message: a decoded meta before a body that stays bytes (spec.md 3).
//
// It knows the meta tags, the body keys, caller ids and reverse caller ids, access levels, RPC
// errors and TunnelCtl. It does not know connections, framing or logs: a message is parsed from
// bytes and appended to bytes. So a broker can replace the head of a message and pass on the body
// unchanged.
package rpc

// Meta tags (spec.md 3.1).
const (
	TagMetaType     = 1
	TagNameSpace    = 2
	TagRequestID    = 8
	TagPath         = 9
	TagMethod       = 10
	TagCallerIDs    = 11
	TagProtocol     = 12 // of brokers until 2022; passed on, never created
	TagRevCallerIDs = 13
	TagAccess       = 14
	TagTunnelCtl    = 15
	TagUserID       = 16
	TagAccessLevel  = 17
	TagSeqNo        = 18
	TagSource       = 19
	TagRepeat       = 20
	TagPart         = 21
)

// Keys of the body (spec.md 3.2).
const (
	KeyParam  = 1
	KeyResult = 2
	KeyError  = 3
	KeyDelay  = 4
	KeyAbort  = 5
)

// Values of the tag TagMetaType (spec.md 3.5).
const (
	TypeRPCMessage = 1
	TypeTunnelCtl  = 3
)
