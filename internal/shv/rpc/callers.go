package rpc

import (
	"math"

	"shvtools/internal/shv/chainpack"
)

// maxCallers bounds a stack of caller ids. Each broker on the way adds one, and no tree is that
// deep.
const maxCallers = 64

// CallerIDs is a stack of the ids that brokers push onto a message on its way, the newest last
// (spec.md 3.4). It stands for all forms of the wire: absent, Int, UInt and List.
type CallerIDs []int64

// push returns the stack with id on top.
func (c CallerIDs) push(id int64) CallerIDs { return append(c, id) }

// Pop removes the newest id; ok is false for an empty stack. rest shares the memory of c.
func (c CallerIDs) Pop() (rest CallerIDs, id int64, ok bool) {
	if len(c) == 0 {
		return c, 0, false
	}
	return c[:len(c)-1], c[len(c)-1], true
}

// Value returns the form that is written: one id as an Int, several as a List, none as an empty
// List (leave the tag out if possible).
func (c CallerIDs) Value() chainpack.Value {
	if len(c) == 1 {
		return chainpack.Int(c[0])
	}
	items := make([]chainpack.Value, len(c))
	for i, id := range c {
		items[i] = chainpack.Int(id)
	}
	return chainpack.List(items...)
}

// callerIDsFromValue reads any form of the wire; ok is false for other values.
func callerIDsFromValue(v chainpack.Value) (ids CallerIDs, ok bool) {
	if v.IsNull() {
		return nil, true
	}
	if id, ok := v.AsInt(); ok {
		return CallerIDs{id}, true
	}
	if v.Kind() != chainpack.KindList || v.Len() > maxCallers {
		return nil, false
	}
	for _, item := range v.Items() {
		id, ok := item.AsInt()
		if !ok {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

// AppendKey appends a form of the stack that is equal for equal stacks only, to serve as a map key.
func (c CallerIDs) AppendKey(dst []byte) []byte {
	for _, id := range c {
		dst = chainpack.AppendUIntData(dst, uint64(id))
	}
	return dst
}

func appendCallers(dst []byte, ids CallerIDs) []byte {
	if len(ids) == 1 {
		return chainpack.AppendInt(dst, ids[0])
	}
	dst = append(dst, chainpack.ByteList)
	for _, id := range ids {
		dst = chainpack.AppendInt(dst, id)
	}
	return append(dst, chainpack.ByteTerm)
}

// scanCallers reads a stack from the wire into dst without building values.
func scanCallers(s *chainpack.Scanner, dst CallerIDs) (CallerIDs, error) {
	schema, err := s.Peek()
	if err != nil {
		return dst, err
	}
	switch schema {
	case chainpack.ByteNull:
		return dst, s.Skip()
	case chainpack.ByteList:
		if err := s.Enter(chainpack.ByteList); err != nil {
			return dst, err
		}
		for !s.Leave() {
			if len(dst) >= maxCallers {
				return dst, &chainpack.LimitError{Offset: s.Offset(), What: "caller ids", Limit: maxCallers}
			}
			if dst, err = scanCaller(s, dst); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
	return scanCaller(s, dst)
}

func scanCaller(s *chainpack.Scanner, dst CallerIDs) (CallerIDs, error) {
	at := s.Offset()
	id, err := s.Int()
	if err != nil {
		return dst, err
	}
	if id < 0 || id > math.MaxInt32 {
		return dst, &chainpack.SyntaxError{Offset: at, What: "caller id out of range"}
	}
	return append(dst, id), nil
}
