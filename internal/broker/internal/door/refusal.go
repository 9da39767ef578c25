package door

import (
	"errors"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/rpc"
)

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
