package door

import (
	"shvtools/internal/broker/internal/loginparam"
	"shvtools/internal/shv/rpc"
)

// MaxItems bounds the values in a login. Decoded, it takes many times its bytes, and it is
// kept while its answer is held back.
const MaxItems = 256

// Read reads the param of a login. The error is the answer to one that is not checked.
func Read(m *rpc.Message) (p loginparam.Param, err *rpc.Error) {
	content, unreadable := m.ContentWithin(MaxItems)
	if unreadable != nil {
		return p, rpc.Errorf(rpc.CodeInvalidParam, "unreadable login: %v", unreadable)
	}
	if content.Key == rpc.KeyAbort {
		// A client that waits for a held back answer asks whether its login is still being
		// worked at. That is not a guess, and was read after the answer.
		return p, rpc.Errorf(rpc.CodeRequestInvalid, "no such request is running")
	}
	return loginparam.Read(content.Value), nil
}
