package tunnel

import (
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// Size is the size of a terminal in characters.
type Size struct{ Cols, Rows int }

// controlFrame returns a message on the control channel with one key.
func (e *End) controlFrame(key string, v chainpack.Value) []byte {
	return rpc.AppendResult(nil, e.opts.To,
		chainpack.List(chainpack.Int(Control), chainpack.Map(chainpack.F(key, v))))
}

// control takes a message of the control channel (protocol.md 3). It ignores unknown keys, which
// newer peers may send.
func (e *End) control(v chainpack.Value) {
	if !e.opts.Extended {
		return // the ends did not agree on it
	}
	for _, entry := range v.Entries() {
		switch entry.Key.Str() {
		case "ack":
			if channel, total, ok := pair(entry.Value); ok {
				e.acked(channel, total)
			}
		case "eof":
			if channel, total, ok := pair(entry.Value); ok {
				e.ended(channel, total)
			}
		case "resize":
			if cols, rows, ok := pair(entry.Value); ok && e.opts.Resize != nil {
				e.opts.Resize(Size{int(cols), int(rows)})
			}
		case "signal":
			if name, ok := entry.Value.AsString(); ok && e.opts.Signal != nil {
				e.opts.Signal(name)
			}
		case "ping":
			e.post(e.controlFrame("pong", entry.Value))
		}
	}
}

func pair(v chainpack.Value) (a, b int64, ok bool) {
	if v.Kind() != chainpack.KindList || v.Len() != 2 {
		return 0, 0, false
	}
	a, okA := v.At(0).AsInt()
	b, okB := v.At(1).AsInt()
	return a, b, okA && okB
}

func pairValue(a, b int64) chainpack.Value {
	return chainpack.List(chainpack.Int(a), chainpack.Int(b))
}

// Resize tells the helper the size of the terminal. It sends nothing to a peer without the
// additions, and may wait for the connection.
func (e *End) Resize(s Size) error {
	return e.send("resize", pairValue(int64(s.Cols), int64(s.Rows)))
}

// Signal asks the helper to signal its process; name has no SIG. It sends nothing to a peer without
// the additions, and may wait for the connection.
func (e *End) Signal(name string) error { return e.send("signal", chainpack.String(name)) }

// send sends a control message to a peer with the additions. It may wait for the connection.
func (e *End) send(key string, v chainpack.Value) error {
	if !e.opts.Extended {
		return nil
	}
	return e.sendMessage(e.controlFrame(key, v))
}
