package inband

import (
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// piece is what one call or response carries: bytes of a channel, or one control frame.
type piece struct {
	channel  int64
	at       int64 // offset of data in its channel, or number of the control frame, both from 0
	data     []byte
	control  chainpack.Value // on channel 3
	inFlight bool            // sent and neither acknowledged nor counted as lost
	times    int             // how many times it was sent
	sent     time.Time       // when it was last sent
}

// size returns how far the piece advances its channel.
func (p *piece) size() int64 {
	if p.channel == tunnel.Control {
		return 1
	}
	return int64(len(p.data))
}

func (p *piece) end() int64 { return p.at + p.size() }

// payload returns the piece's part of a call or response.
func (p *piece) payload() chainpack.Value {
	if p.channel == tunnel.Control {
		return p.control
	}
	return chainpack.Blob(p.data)
}

// pieceFrom reads a channel, a place and a payload; ok is false if they are not a piece.
func pieceFrom(channel, at, payload chainpack.Value) (p piece, ok bool) {
	n, okChannel := channel.AsInt()
	place, okAt := at.AsInt()
	if !okChannel || !okAt || n < 0 || n >= channels || place < 0 {
		return piece{}, false
	}
	p = piece{channel: n, at: place}
	if n == tunnel.Control {
		p.control = payload
		return p, payload.Kind() == chainpack.KindMap
	}
	p.data, ok = payload.AsBlob()
	return p, ok && len(p.data) > 0
}

// frame returns the piece as a frame of the base tunnel.
func (p *piece) frame(to rpc.Address) *link.Frame {
	payload := p.control
	if p.channel != tunnel.Control {
		payload = chainpack.String(string(p.data))
	}
	return link.NewMessage(rpc.AppendResult(nil, to, chainpack.List(chainpack.Int(p.channel), payload)))
}

// fromFrame reads a frame of the base tunnel; ok is false if it is neither data nor control. The
// data aliases the frame.
func fromFrame(m *rpc.Message) (p piece, ok bool) {
	if channel, data, ok := tunnel.ParseData(m.Body()); ok {
		return piece{channel: channel, data: data}, channel >= 0 && channel < tunnel.Control && len(data) > 0
	}
	content, err := m.Content()
	if err != nil || content.Key != rpc.KeyResult || content.Value.Len() < 2 {
		return piece{}, false
	}
	channel, _ := content.Value.At(0).AsInt()
	control := content.Value.At(1)
	return piece{channel: channel, control: control}, channel == tunnel.Control && control.Kind() == chainpack.KindMap
}

// eofOf reads what a control frame says about the end of a channel; ok is false if it says nothing.
func eofOf(control chainpack.Value) (channel, total int64, ok bool) {
	eof, _ := control.Get("eof")
	if eof.Kind() != chainpack.KindList || eof.Len() != 2 {
		return 0, 0, false
	}
	channel, okChannel := eof.At(0).AsInt()
	total, okTotal := eof.At(1).AsInt()
	return channel, total, okChannel && okTotal && channel >= 0 && channel < tunnel.Control
}
