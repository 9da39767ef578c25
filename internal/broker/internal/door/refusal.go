package door

import (
	"errors"
	"net"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// hintWait bounds the time to tell a refused peer why. A new connection of the
// operating system never takes it, since its buffer is empty.
const hintWait = 10 * time.Millisecond

// Refusal is why a login is refused.
type Refusal struct {
	Answer *rpc.Error // for the peer
	Cause  error      // for the log alone: it may say more
	Guess  bool       // it counts as a failed login of the user
}

// Refuse returns a refusal with the same text for the peer and the log.
func Refuse(answer *rpc.Error) *Refusal { return &Refusal{Answer: answer, Cause: answer} }

// RefuseGuess returns the refusal of a login with a wrong password, token or certificate.
func RefuseGuess(user string, cause error) *Refusal {
	reason := auth.ErrLogin.Error()
	if errors.Is(cause, auth.ErrCertificate) {
		reason = auth.ErrCertificate.Error() +
			": the broker's log has its names; one of them must be in certificates of the user"
	}
	answer := rpc.Errorf(rpc.CodeException, "Invalid authentication for user: %s reason: %s", user, reason)
	return &Refusal{answer, cause, true}
}

// Crowded is the answer to a login that lost its place while it was held back. It was not
// checked.
func Crowded(wait time.Duration) *Refusal {
	return Refuse(rpc.Errorf(rpc.CodeTryAgainLater,
		"too many logins of this user from this address at once").After(wait))
}

// Later is the answer, with the time after which the next login of this user is answered
// without delay if it is right.
func (r *Refusal) Later(p Penalty) *rpc.Error {
	if !r.Guess || p.Wait <= 0 {
		return r.Answer
	}
	answer := *r.Answer
	answer.Message += "; too many failed logins"
	return answer.After(p.Wait)
}

// RefuseConnection closes a connection. A peer that can read it first receives the
// reason, as the answer to what is the first request of most clients.
func RefuseConnection(conn net.Conn, cause link.Cause) {
	if _, ok := conn.(transport.Handshaker); ok {
		_ = conn.Close()
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(hintWait))
	l := link.New(conn, link.Options{}) // for its framing
	defer l.Close(cause)
	f := link.NewMessage(rpc.AppendError(nil, rpc.Address{ID: 1}, rpc.Errorf(rpc.CodeTryAgainLater, "%s", cause)))
	defer f.Release()
	_ = l.SendNow(f)
}
