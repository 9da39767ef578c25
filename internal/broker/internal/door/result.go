package door

// Result is how a login ended.
type Result int

// The results of a login.
const (
	Accepted Result = iota
	Helper          // accepted, with the secret of a tunnel
	Invalid         // an unknown user, a wrong password, or not from there
	Refused         // for any other reason, such as a mount point that is taken
	Stopping        // not checked, since the broker stops
	Results  = int(iota)
)

// String returns the name of the result in the metrics.
func (r Result) String() string {
	return [...]string{"accepted", "accepted helper", "invalid", "refused", "stopping"}[r]
}

// Result returns how a login is counted; r is nil if it was accepted.
func (r *Refusal) Result(helper bool) Result {
	switch {
	case r == nil && helper:
		return Helper
	case r == nil:
		return Accepted
	case r.Guess:
		return Invalid
	}
	return Refused
}
