package journal

import (
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// The names are those of the client's journal (spec.md 2.1).
var metaNames = map[int64]string{
	rpc.TagMetaType:     "T",
	rpc.TagNameSpace:    "NS",
	rpc.TagRequestID:    "id",
	rpc.TagPath:         "shvPath",
	rpc.TagMethod:       "method",
	rpc.TagCallerIDs:    "cid",
	rpc.TagProtocol:     "protocol",
	rpc.TagRevCallerIDs: "rcid",
	rpc.TagAccess:       "grant",
	rpc.TagTunnelCtl:    "tctl",
	rpc.TagUserID:       "userId",
	rpc.TagAccessLevel:  "accessLevel",
	rpc.TagSource:       "source",
}

var bodyNames = map[int64]string{
	rpc.KeyParam:  "params",
	rpc.KeyResult: "result",
	rpc.KeyError:  "error",
	rpc.KeyDelay:  "delay",
	rpc.KeyAbort:  "abort",
}

var tunnelNames = map[int64]string{
	1: "State", 2: "Host", 3: "Port", 4: "Secret", 5: "RequestId", 6: "CallerIds",
}

func (j *Writer) appendMetaEntry(dst []byte, e chainpack.Entry) []byte {
	dst = appendName(dst, e.Key, metaNames)
	if !e.Key.IsInt() {
		return cpon.Append(dst, e.Value)
	}
	switch n, _ := e.Value.AsInt(); {
	case e.Key.Int() == rpc.TagMetaType && n == rpc.TypeRPCMessage:
		return append(dst, "RpcMessage"...)
	case e.Key.Int() == rpc.TagTunnelCtl:
		return j.appendTunnel(dst, e.Value)
	case e.Key.Int() == rpc.TagPath && !j.unsafe:
		if path, ok := e.Value.AsString(); ok {
			return cpon.Append(dst, chainpack.String(maskPath(path)))
		}
	}
	return cpon.Append(dst, e.Value)
}

func (j *Writer) appendTunnel(dst []byte, v chainpack.Value) []byte {
	for _, e := range v.Meta() {
		if n, ok := e.Value.AsInt(); ok && e.Key == chainpack.IntKey(rpc.TagMetaType) && n == rpc.TypeTunnelCtl {
			dst = append(dst, "<T:TunnelCtl>"...)
		}
	}
	if !j.unsafe {
		v = maskTunnel(v)
	}
	return appendNamed(dst, v.WithMeta(), tunnelNames)
}
