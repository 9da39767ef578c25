package rpc

import (
	"errors"
	"slices"

	"shvtools/internal/shv/chainpack"
)

// Kind is the kind of a message (spec.md 3.3).
type Kind int

// The kinds of a message.
const (
	Malformed Kind = iota // none of the others; to be dropped
	Request
	Response
	Signal
)

// maxFields bounds the entries of one meta. The standard knows sixteen.
const maxFields = 128

// maxMetaItems bounds the values in one entry that is decoded. A user id or a TunnelCtl has a few
// dozen at most, and a decoded value takes many times its bytes.
const maxMetaItems = 1 << 10

// Errors of a message that is ChainPack and yet no message.
var (
	// ErrNoMeta is returned by Parse for bytes that do not begin with a MetaMap.
	ErrNoMeta = errors.New("rpc: message without meta")
	// ErrNoBody is returned by Content if something other than an IMap follows the meta.
	ErrNoBody = errors.New("rpc: body is not an IMap")
)

// Message is one parsed message: its meta is decoded, its body is not.
//
// Byte slices may alias the bytes that Parse was given. A Message may be used for one Parse after
// another, which costs no allocation. It must not be used concurrently.
type Message struct {
	fields  []field
	meta    []byte
	body    []byte
	present uint32 // tags below 32 that were parsed or set
	changed uint32 // tags that AppendMeta writes again or leaves out

	id         int64
	path       []byte
	method     []byte
	source     []byte
	callers    CallerIDs
	revCallers CallerIDs
	access     Access
	tunnel     TunnelCtl
	userID     chainpack.Value
}

// field is one entry of the meta, by its offsets in the bytes.
type field struct {
	tag               int64 // -1: a String key
	start, value, end int
}

func bit(tag int64) uint32 {
	if tag < 0 || tag > 31 {
		return 0
	}
	return 1 << tag
}

// Parse decodes the meta at the front of b, a message without its protocol byte, and takes the rest
// as the body. It returns ErrNoMeta or an error of package chainpack; the message must not be used
// then.
func (m *Message) Parse(b []byte) error {
	m.fields = m.fields[:0]
	m.present, m.changed = 0, 0
	m.id, m.path, m.method, m.source = 0, nil, nil, nil
	m.callers, m.revCallers = m.callers[:0], m.revCallers[:0]
	m.access = AccessNone
	m.tunnel, m.userID = TunnelCtl{}, chainpack.Value{}

	s := chainpack.NewScanner(b, chainpack.Limits{})
	if schema, err := s.Peek(); err != nil {
		return err
	} else if schema != chainpack.ByteMetaMap {
		return ErrNoMeta
	}
	for {
		schema, err := s.Peek()
		if err != nil {
			return err
		}
		if schema != chainpack.ByteMetaMap {
			break
		}
		if err := s.Enter(chainpack.ByteMetaMap); err != nil {
			return err
		}
		for !s.Leave() {
			if err := m.parseField(&s, b); err != nil {
				return err
			}
		}
	}
	m.meta, m.body = b[:s.Offset()], b[s.Offset():]
	return m.parseRare()
}

func (m *Message) parseField(s *chainpack.Scanner, b []byte) error {
	if len(m.fields) >= maxFields {
		return &chainpack.LimitError{Offset: s.Offset(), What: "entries in a message's meta", Limit: maxFields}
	}
	f := field{tag: -1, start: s.Offset()}
	schema, err := s.Peek()
	if err != nil {
		return err
	}
	if schema == chainpack.ByteString || schema == chainpack.ByteCString {
		err = s.Skip()
	} else {
		f.tag, err = s.Int()
	}
	if err != nil {
		return err
	}
	f.value = s.Offset()
	switch f.tag {
	case TagRequestID:
		schema, err := s.Peek()
		if err != nil {
			return err
		}
		if isNumber(schema) {
			m.id, err = s.Int()
		} else {
			m.id, err = 0, s.Skip()
		}
		if err != nil {
			return err
		}
	case TagPath:
		m.path, err = scanText(s, b)
	case TagMethod:
		m.method, err = scanText(s, b)
	case TagSource:
		m.source, err = scanText(s, b)
	case TagCallerIDs:
		m.callers, err = scanCallers(s, m.callers[:0])
	case TagRevCallerIDs:
		m.revCallers, err = scanCallers(s, m.revCallers[:0])
	default:
		err = s.Skip()
	}
	if err != nil {
		return err
	}
	f.end = s.Offset()
	if m.Has(f.tag) {
		m.dropEarlier(f.tag)
	}
	m.fields = append(m.fields, f)
	m.present |= bit(f.tag)
	return nil
}

// parseRare decodes the tags that few messages carry.
func (m *Message) parseRare() error {
	if m.present&(1<<TagAccess|1<<TagAccessLevel) != 0 {
		level, _ := m.MetaValue(TagAccessLevel)
		grant, _ := m.MetaValue(TagAccess)
		m.access, _ = accessOf(level, grant)
	}
	if m.Has(TagTunnelCtl) {
		v, err := m.MetaValue(TagTunnelCtl)
		if err != nil {
			return err
		}
		m.tunnel = TunnelCtlFromValue(v)
	}
	return nil
}

// dropEarlier removes the field of a tag that occurs again. The last one counts, and receivers must
// not see another one than this program has checked.
func (m *Message) dropEarlier(tag int64) {
	for i, f := range m.fields {
		if f.tag == tag {
			m.fields = append(m.fields[:i], m.fields[i+1:]...)
			return
		}
	}
}

// scanText reads a String of b. It ignores other types.
func scanText(s *chainpack.Scanner, b []byte) ([]byte, error) {
	schema, err := s.Peek()
	if err != nil {
		return nil, err
	}
	if schema == chainpack.ByteString {
		return s.Bytes()
	}
	at := s.Offset()
	if err := s.Skip(); err != nil || schema != chainpack.ByteCString {
		return nil, err
	}
	v, _, err := chainpack.Decode(b[at:s.Offset()], chainpack.Limits{}) // resolves escapes
	text, _ := v.AsString()
	return []byte(text), err
}

func isNumber(schema byte) bool { return schema < 0x80 || schema == 0x81 || schema == 0x82 }

// Kind returns the kind of the message. A message with a path but neither id nor method is a
// signal, named "chng" (spec.md 3.3).
func (m *Message) Kind() Kind {
	switch {
	case m.id > 0 && m.Has(TagMethod):
		return Request
	case m.id > 0:
		return Response
	case m.Has(TagRequestID):
		return Malformed
	case m.Has(TagMethod) || m.Has(TagPath):
		return Signal
	}
	return Malformed
}

// Has reports whether the tag, which is below 32, is present, even with the value Null.
func (m *Message) Has(tag int64) bool { return m.present&bit(tag) != 0 }

// ID returns the request id, 0 if there is none.
func (m *Message) ID() int64 { return m.id }

// Path returns the SHV path as it was sent, empty if there is none.
func (m *Message) Path() []byte { return m.path }

// Method returns the method of a request or the name of a signal.
func (m *Message) Method() []byte { return m.method }

// Source returns the method that a signal belongs to, empty if none is named.
func (m *Message) Source() []byte { return m.source }

// Callers returns the stack of caller ids. It is valid until the next Parse.
func (m *Message) Callers() CallerIDs { return m.callers }

// RevCallers returns the stack of reverse caller ids; Has(TagRevCallerIDs) reports whether one is
// asked for. It is valid until the next Parse.
func (m *Message) RevCallers() CallerIDs { return m.revCallers }

// Access returns the level that tags 17 and 14 grant, AccessNone without them.
func (m *Message) Access() Access { return m.access }

// Tunnel returns the TunnelCtl of the message. Its State is NoTunnel if there is none.
func (m *Message) Tunnel() *TunnelCtl { return &m.tunnel }

// Body returns the part after the meta, as it was received.
func (m *Message) Body() []byte { return m.body }

// MetaValue decodes the value of one tag as it was received, Null if the tag is absent. A value of
// more than 1024 values is an error.
func (m *Message) MetaValue(tag int64) (chainpack.Value, error) {
	for _, f := range slices.Backward(m.fields) {
		if f.tag == tag {
			v, _, err := chainpack.Decode(m.meta[f.value:f.end], chainpack.Limits{Items: maxMetaItems})
			return v, err
		}
	}
	return chainpack.Value{}, nil
}

// Content is a decoded body (spec.md 3.2). Key tells which key it has, 0 for an empty body.
type Content struct {
	Key   int64
	Value chainpack.Value // of Key; Null for an empty body
	Error *Error          // set for KeyError
}

// Content decodes the body. The first known key counts. Null, which C++ clients send, is an empty
// body.
func (m *Message) Content() (Content, error) { return m.ContentWithin(chainpack.DefaultItems) }

// ContentWithin is Content of a body of at most so many values; more are a *chainpack.LimitError. A
// decoded value takes many times the memory of its bytes.
func (m *Message) ContentWithin(items int) (Content, error) {
	v, _, err := chainpack.Decode(m.body, chainpack.Limits{Items: items})
	if err != nil {
		return Content{}, err
	}
	if v.Kind() != chainpack.KindIMap && !v.IsNull() {
		return Content{}, ErrNoBody
	}
	for _, e := range v.Entries() {
		if !e.Key.IsInt() {
			continue
		}
		switch key := e.Key.Int(); key {
		case KeyError:
			return Content{Key: key, Value: e.Value, Error: errorFromValue(e.Value)}, nil
		case KeyParam, KeyResult, KeyDelay, KeyAbort:
			return Content{Key: key, Value: e.Value}, nil
		}
	}
	return Content{}, nil
}
