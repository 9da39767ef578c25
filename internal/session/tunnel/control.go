package tunnel

import (
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// Size is a terminal's, in characters.
type Size struct{ Cols, Rows int }

// controlFrame is a message on the control channel with one key.
func (e *End) controlFrame(key string, v chainpack.Value) []byte {
	return rpc.AppendResult(nil, e.opts.To,
		chainpack.List(chainpack.Int(Control), chainpack.Map(chainpack.F(key, v))))
}

// control takes what came on the control channel; unknown keys are for newer
// peers.
func (e *End) control(v chainpack.Value) {
	if !e.opts.Extended {
		return // nothing of it was agreed on
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

// Resize tells the helper the size of the terminal. Nothing is sent to a peer
// of the base protocol.
func (e *End) Resize(s Size) error {
	return e.send("resize", pairValue(int64(s.Cols), int64(s.Rows)))
}

// Signal asks the helper to signal its process; name is without SIG.
func (e *End) Signal(name string) error { return e.send("signal", chainpack.String(name)) }

// send sends a control message to a peer that knows the additions. It may wait
// for the connection.
func (e *End) send(key string, v chainpack.Value) error {
	if !e.opts.Extended {
		return nil
	}
	return e.sendMessage(e.controlFrame(key, v))
}
