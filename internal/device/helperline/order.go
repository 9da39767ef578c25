package helperline

import (
	"bytes"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// Order is a later line of the agent to its helper. Helpers that know no orders ignore
// it; the end of the agent's lines ends the session in any case.
type Order struct {
	Notice string // text to show to the user; "": none
	Stop   string // end the session now, for this reason; "": do not
}

// Append appends the line of the order and its newline to dst.
func (o Order) Append(dst []byte) []byte {
	var entries []chainpack.Entry
	if o.Notice != "" {
		entries = append(entries, chainpack.F("notice", chainpack.String(o.Notice)))
	}
	if o.Stop != "" {
		entries = append(entries, chainpack.F("stop", chainpack.String(o.Stop)))
	}
	return append(cpon.Append(dst, chainpack.Map(entries...)), '\n')
}

// ParseOrder reads the line of an order. Any other line gives the zero Order.
func ParseOrder(text []byte) (o Order) {
	v, err := cpon.Parse(bytes.TrimSpace(text), chainpack.Limits{})
	if err != nil {
		return Order{}
	}
	notice, _ := v.Get("notice")
	o.Notice, _ = notice.AsString()
	stop, _ := v.Get("stop")
	o.Stop, _ = stop.AsString()
	return o
}
