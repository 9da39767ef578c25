package rpc

import "shvtools/internal/shv/chainpack"

// The setters change only what AppendMeta writes: the bytes
// that the message was parsed from stay as they are.

// SetPath replaces the path. The message keeps the slice.
func (m *Message) SetPath(path []byte) {
	m.path = path
	m.set(TagPath)
}

// PushCaller adds id on top of the caller ids.
func (m *Message) PushCaller(id int64) {
	m.callers = m.callers.push(id)
	m.set(TagCallerIDs)
}

// PopCaller removes the newest caller id; ok is false if there is none.
func (m *Message) PopCaller() (id int64, ok bool) {
	m.callers, id, ok = m.callers.Pop()
	if ok {
		m.setOrDrop(TagCallerIDs, len(m.callers) > 0)
	}
	return id, ok
}

// PushRevCaller adds id on top of the reverse caller ids.
func (m *Message) PushRevCaller(id int64) {
	m.revCallers = m.revCallers.push(id)
	m.set(TagRevCallerIDs)
}

// SetAccess writes level as tags 14 and 17; AccessNone removes both.
func (m *Message) SetAccess(level Access) {
	m.access = level
	m.setOrDrop(TagAccess, level > AccessNone)
	m.setOrDrop(TagAccessLevel, level > AccessNone)
}

// SetTunnel replaces the TunnelCtl.
func (m *Message) SetTunnel(t TunnelCtl) {
	m.tunnel = t
	m.set(TagTunnelCtl)
}

// SetUserID replaces tag 16; Null removes it.
func (m *Message) SetUserID(v chainpack.Value) {
	m.userID = v
	m.setOrDrop(TagUserID, !v.IsNull())
}

func (m *Message) set(tag int64) {
	m.present |= bit(tag)
	m.changed |= bit(tag)
}

func (m *Message) setOrDrop(tag int64, keep bool) {
	m.set(tag)
	if !keep {
		m.present &^= bit(tag)
	}
}

// settable are the tags that the setters change, ascending, which is the order in which new tags
// are written.
var settable = [...]int64{TagPath, TagCallerIDs, TagRevCallerIDs, TagAccess, TagTunnelCtl, TagUserID, TagAccessLevel}

// AppendMeta appends the current meta. Entries that were not changed keep their bytes and their
// place.
func (m *Message) AppendMeta(dst []byte) []byte {
	dst = append(dst, chainpack.ByteMetaMap)
	var written uint32
	parsed := m.parsedTags()
	for _, f := range m.fields {
		if f.tag >= 0 {
			dst, written = m.appendAdded(dst, f.tag, parsed, written)
		}
		if m.changed&bit(f.tag) == 0 {
			dst = append(dst, m.meta[f.start:f.end]...)
			continue
		}
		dst = m.appendSet(dst, f.tag)
	}
	dst, _ = m.appendAdded(dst, 32, parsed, written)
	return append(dst, chainpack.ByteTerm)
}

// parsedTags is the set of tags that the parsed bytes held.
func (m *Message) parsedTags() (tags uint32) {
	for _, f := range m.fields {
		tags |= bit(f.tag)
	}
	return tags
}

// appendAdded appends the changed tags below limit that the bytes did not hold and that are not
// written yet.
func (m *Message) appendAdded(dst []byte, limit int64, parsed, written uint32) ([]byte, uint32) {
	if m.changed&^(parsed|written) == 0 {
		return dst, written
	}
	for _, tag := range settable {
		if tag >= limit {
			break
		}
		if m.changed&bit(tag) != 0 && (parsed|written)&bit(tag) == 0 {
			dst = m.appendSet(dst, tag)
			written |= bit(tag)
		}
	}
	return dst, written
}

// appendSet appends the entry of a tag that a setter changed, and nothing for a removed one.
func (m *Message) appendSet(dst []byte, tag int64) []byte {
	if !m.Has(tag) {
		return dst
	}
	dst = chainpack.AppendInt(dst, tag)
	switch tag {
	case TagPath:
		dst = chainpack.AppendStringHeader(dst, len(m.path))
		dst = append(dst, m.path...)
	case TagCallerIDs:
		dst = appendCallers(dst, m.callers)
	case TagRevCallerIDs:
		dst = appendCallers(dst, m.revCallers)
	case TagAccess:
		dst = chainpack.AppendString(dst, m.access.String())
	case TagAccessLevel:
		dst = chainpack.AppendInt(dst, int64(m.access))
	case TagTunnelCtl:
		dst = chainpack.Append(dst, m.tunnel.Value())
	case TagUserID:
		dst = chainpack.Append(dst, m.userID)
	}
	return dst
}
