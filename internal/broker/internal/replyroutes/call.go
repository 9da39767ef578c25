package replyroutes

import (
	"strconv"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/rpc"
)

// MaxCallText bounds the path and the method of a remembered request, in bytes. A
// tunnel of a longer one ends with any change of its user's rights.
const MaxCallText = 512

// Call is a request that is passed on. The zero value stands for a response.
type Call struct {
	ID           int64 // 0: none
	Path, Method []byte
	Level        rpc.Access // that the caller had
}

// Right is what a tunnel was made with: the tunnel lives while its user has that
// level.
type Right struct {
	Path, Method string // "" if they were too long to be kept
	Level        rpc.Access

	unknown bool // Path and Method were too long
}

// HeldBy reports whether the user u still has the right. It is false for nil, and
// for one whose Path and Method are unknown.
func (r Right) HeldBy(u *auth.User) bool {
	return !r.unknown && u != nil && u.Level([]byte(r.Path), []byte(r.Method)) >= r.Level
}

// String names the right for people.
func (r Right) String() string {
	if r.unknown {
		return "the right to make it"
	}
	return "the right to call " + r.Method + " on " + strconv.Quote(r.Path)
}

// askedCall is a Call in memory of its own, which is reused.
type askedCall struct {
	id     int64
	level  rpc.Access
	text   []byte // the path and the method; empty if they were too long
	method int    // where the method begins in text
}

// set copies c, with at most space bytes of new memory for its text, and returns
// how many it took.
func (a *askedCall) set(c Call, space int) (taken int) {
	a.id, a.level, a.method, a.text = c.ID, c.Level, len(c.Path), a.text[:0]
	size := len(c.Path) + len(c.Method)
	if taken = max(0, size-cap(a.text)); size > MaxCallText || taken > space {
		return 0
	}
	if taken > 0 {
		a.text = make([]byte, 0, size)
	}
	a.text = append(append(a.text, c.Path...), c.Method...)
	return taken
}

func (a *askedCall) right() Right {
	if len(a.text) == 0 {
		return Right{unknown: true}
	}
	return Right{Path: string(a.text[:a.method]), Method: string(a.text[a.method:]), Level: a.level}
}
