package helperline

import (
	"bytes"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// Order is a later line of the agent to its helper. One that knows none passes it
// over; the end of the lines ends the session in any case.
type Order struct {
	Notice string // to be shown to the user
	Stop   string // why the agent will end the session now
}

// Append appends the line of the order.
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

// ParseOrder reads such a line; of any other it is zero.
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
