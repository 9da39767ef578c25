package node

import (
	"errors"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// Answer serves the request m from tree and returns the message to answer with, nil if the answer
// comes later. level is the caller's access level. The tree's methods see caller as Request.Caller.
//
// An abort or a query of a call (body key 5) never runs the method (spec.md 3.7). A query of a call
// that runs is answered by Delay, and so is the same call if it comes again. An abort, and a query
// of any other call, is answered by RequestInvalid.
func Answer(tree *Tree, m *rpc.Message, level rpc.Access, caller any) []byte {
	from := m.Address()
	content, err := m.ContentWithin(tree.MaxItems)
	if tree.Running != nil {
		switch abort, _ := content.Value.AsBool(); {
		case content.Key == rpc.KeyAbort && abort:
			tree.Running.Abort(from)
		default:
			if progress, ok := tree.Running.Progress(from); ok {
				return rpc.AppendDelay(nil, from, progress)
			}
		}
	}
	var result chainpack.Value
	switch {
	case err != nil:
		err = rpc.Errorf(rpc.CodeInvalidParam, "unreadable request: %v", err)
	case content.Key == rpc.KeyAbort:
		err = rpc.Errorf(rpc.CodeRequestInvalid, "no such request is running")
	default:
		userID, _ := m.MetaValue(rpc.TagUserID)
		result, err = tree.guarded(&Request{
			Path:   string(shvpath.Clean(m.Path())),
			Method: string(m.Method()),
			Param:  content.Value,
			Access: level,
			From:   from,
			UserID: userID,
			Caller: caller,
			Size:   len(m.Body()),
		})
	}
	switch {
	case errors.Is(err, ErrLater):
		return nil
	case err != nil:
		return rpc.AppendError(nil, from, rpc.AsError(err))
	}
	return rpc.AppendResult(nil, from, result)
}
