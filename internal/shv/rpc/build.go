package rpc

import "shvtools/internal/shv/chainpack"

// Address says where a response goes: the request id and the caller ids of the request.
type Address struct {
	ID      int64
	Callers CallerIDs
}

// Address returns the address of the sender of a request. The caller ids are a copy.
func (m *Message) Address() Address {
	return Address{ID: m.id, Callers: append(CallerIDs(nil), m.callers...)}
}

// Meta is what a response carries beside id and caller ids.
type Meta struct {
	WantRevCallers bool       // tag 13 as Null: brokers record the reply route (spec.md 3.4)
	Tunnel         *TunnelCtl // tag 15
}

// AppendRequest appends a request. It leaves out a Null param and an empty path, as peers do.
func AppendRequest(dst []byte, id int64, path, method string, param chainpack.Value) []byte {
	return appendRequest(dst, id, path, method, param, false)
}

// AppendIdentified is AppendRequest with an empty user id, which each broker on the way extends by
// the user (spec.md 3.8).
func AppendIdentified(dst []byte, id int64, path, method string, param chainpack.Value) []byte {
	return appendRequest(dst, id, path, method, param, true)
}

func appendRequest(dst []byte, id int64, path, method string, param chainpack.Value, identified bool) []byte {
	dst = appendHeadStart(dst)
	dst = chainpack.AppendInt(dst, TagRequestID)
	dst = chainpack.AppendInt(dst, id)
	if path != "" {
		dst = chainpack.AppendInt(dst, TagPath)
		dst = chainpack.AppendString(dst, path)
	}
	dst = chainpack.AppendInt(dst, TagMethod)
	dst = chainpack.AppendString(dst, method)
	if identified {
		dst = chainpack.AppendInt(dst, TagUserID)
		dst = chainpack.AppendString(dst, "")
	}
	dst = append(dst, chainpack.ByteTerm)
	if param.IsNull() {
		return append(dst, chainpack.ByteIMap, chainpack.ByteTerm)
	}
	return appendBody(dst, KeyParam, param)
}

// AppendSignal appends a signal of the node at path. source is the method that it belongs to, ""
// for the standard's default; access is the level that a receiver needs, AccessNone for the
// default.
func AppendSignal(dst []byte, path, name, source string, access Access, value chainpack.Value) []byte {
	dst = appendHeadStart(dst)
	dst = chainpack.AppendInt(dst, TagPath)
	dst = chainpack.AppendString(dst, path)
	dst = chainpack.AppendInt(dst, TagMethod)
	dst = chainpack.AppendString(dst, name)
	if access > AccessNone {
		dst = chainpack.AppendInt(dst, TagAccessLevel)
		dst = chainpack.AppendInt(dst, int64(access))
	}
	if source != "" {
		dst = chainpack.AppendInt(dst, TagSource)
		dst = chainpack.AppendString(dst, source)
	}
	dst = append(dst, chainpack.ByteTerm)
	return appendBody(dst, KeyParam, value)
}

// AppendResult appends the response that ends a call. It writes a Null result, since C++ peers take
// an empty body for a failure (spec.md 3.3).
func AppendResult(dst []byte, to Address, result chainpack.Value) []byte {
	return appendBody(AppendResponseHead(dst, to, Meta{}), KeyResult, result)
}

// AppendError appends the response that ends a call with an error.
func AppendError(dst []byte, to Address, err *Error) []byte {
	return appendBody(AppendResponseHead(dst, to, Meta{}), KeyError, err.Value())
}

// AppendDelay appends the response that says that a call still runs, with its progress from 0 to 1
// (spec.md 3.7). Send it only to a caller that asks.
func AppendDelay(dst []byte, to Address, progress float64) []byte {
	return appendBody(AppendResponseHead(dst, to, Meta{}), KeyDelay, chainpack.Double(progress))
}

// AppendTunnel appends a tunnel message: a response with a TunnelCtl. The body is empty if key is
// 0.
func AppendTunnel(dst []byte, to Address, meta Meta, key int64, value chainpack.Value) []byte {
	dst = AppendResponseHead(dst, to, meta)
	if key == 0 {
		return append(dst, chainpack.ByteIMap, chainpack.ByteTerm)
	}
	return appendBody(dst, key, value)
}

// AppendResponseHead appends the meta of a response; the body must follow.
func AppendResponseHead(dst []byte, to Address, meta Meta) []byte {
	dst = appendHeadStart(dst)
	dst = chainpack.AppendInt(dst, TagRequestID)
	dst = chainpack.AppendInt(dst, to.ID)
	if len(to.Callers) > 0 {
		dst = chainpack.AppendInt(dst, TagCallerIDs)
		dst = appendCallers(dst, to.Callers)
	}
	if meta.WantRevCallers {
		dst = chainpack.AppendInt(dst, TagRevCallerIDs)
		dst = append(dst, chainpack.ByteNull)
	}
	if meta.Tunnel != nil {
		dst = chainpack.AppendInt(dst, TagTunnelCtl)
		dst = chainpack.Append(dst, meta.Tunnel.Value())
	}
	return append(dst, chainpack.ByteTerm)
}

// appendHeadStart opens the meta with the type, which C++ peers require.
func appendHeadStart(dst []byte) []byte {
	dst = append(dst, chainpack.ByteMetaMap)
	dst = chainpack.AppendInt(dst, TagMetaType)
	return chainpack.AppendInt(dst, TypeRPCMessage)
}

func appendBody(dst []byte, key int64, v chainpack.Value) []byte {
	dst = append(dst, chainpack.ByteIMap)
	dst = chainpack.AppendInt(dst, key)
	dst = chainpack.Append(dst, v)
	return append(dst, chainpack.ByteTerm)
}
