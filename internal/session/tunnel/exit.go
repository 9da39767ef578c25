package tunnel

import (
	"fmt"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// Exit is the report with which a helper closes a tunnel (protocol.md 4).
type Exit struct {
	Code    int             // exit status of the process, if Signal is empty
	Signal  string          // the signal that ended it, such as "TERM"
	Message string          // why the program could not be started; "" if it was
	Sent    map[int64]int64 // bytes that the helper sent, by channel
}

// value returns the wire form.
func (e Exit) value() chainpack.Value {
	var entries []chainpack.Entry
	if e.Signal != "" {
		entries = append(entries, chainpack.F("signal", chainpack.String(e.Signal)))
	} else {
		entries = append(entries, chainpack.F("exit", chainpack.Int(int64(e.Code))))
	}
	if e.Message != "" {
		entries = append(entries, chainpack.F("message", chainpack.String(e.Message)))
	}
	var sent []chainpack.Entry
	for _, channel := range []int64{Stdout, Stderr} {
		if n, ok := e.Sent[channel]; ok {
			sent = append(sent, chainpack.N(channel, chainpack.Int(n)))
		}
	}
	return chainpack.Map(append(entries, chainpack.F("sent", chainpack.IMap(sent...)))...)
}

func exitFromValue(v chainpack.Value) (e Exit, ok bool) {
	if code, present := v.Get("exit"); present {
		n, isInt := code.AsInt()
		e.Code, ok = int(n), isInt
	}
	if signal, present := v.Get("signal"); present {
		e.Signal, ok = signal.AsString()
	}
	message, _ := v.Get("message")
	e.Message, _ = message.AsString()
	sent, _ := v.Get("sent")
	e.Sent = make(map[int64]int64)
	for _, entry := range sent.Entries() {
		if n, isInt := entry.Value.AsInt(); isInt && entry.Key.IsInt() {
			e.Sent[entry.Key.Int()] = n
		}
	}
	return e, ok
}

// Closing is how a tunnel ended. At most one of Exit and Err is set. Neither means that the peer
// closed it without a report, as the C++ helper does.
type Closing struct {
	Exit *Exit
	Err  error
}

// closingOf reads the body of a CloseTunnel.
func closingOf(m *rpc.Message) Closing {
	content, err := m.ContentWithin(maxItems)
	switch {
	case err != nil:
		return Closing{Err: fmt.Errorf("unreadable end of the tunnel: %w", err)}
	case content.Error != nil:
		return Closing{Err: content.Error}
	}
	if exit, ok := exitFromValue(content.Value); ok {
		return Closing{Exit: &exit}
	}
	return Closing{}
}

// CloseWithExit returns the CloseTunnel of a helper whose process has ended.
func CloseWithExit(to rpc.Address, e Exit) []byte { return closeWith(to, rpc.KeyResult, e.value()) }

// CloseWithError returns the CloseTunnel of an end that gives up.
func CloseWithError(to rpc.Address, err error) []byte {
	return closeWith(to, rpc.KeyError, rpc.AsError(err).Value())
}

// CloseSilently returns the CloseTunnel of the base protocol, without a report.
func CloseSilently(to rpc.Address) []byte { return closeWith(to, rpc.KeyResult, chainpack.Null()) }

func closeWith(to rpc.Address, key int64, v chainpack.Value) []byte {
	return rpc.AppendTunnel(nil, to, rpc.Meta{Tunnel: &rpc.TunnelCtl{State: rpc.CloseTunnel}}, key, v)
}
