package rpc

import (
	"errors"
	"fmt"

	"shvtools/internal/shv/chainpack"
)

// Code is the number of an RPC error (spec.md 3.6).
type Code int

// The codes that are sent or told apart here.
const (
	CodeInvalidRequest  Code = 1
	CodeMethodNotFound  Code = 2 // unknown path or method
	CodeInvalidParam    Code = 3
	CodeInternal        Code = 4
	CodeTimeout         Code = 6
	CodeCancelled       Code = 7
	CodeException       Code = 8 // everything else; permission and login failures too
	CodePermission      Code = 9 // what the Rust broker sends for a denied call
	CodeLoginRequired   Code = 10
	CodeUserIDRequired  Code = 11
	CodeNotImplemented  Code = 12
	CodeTryAgainLater   Code = 13
	CodeRequestInvalid  Code = 14 // answer to an abort or query for a call that is not running
	CodeFirstOfUserCode Code = 32
)

// Error is an RPC error, both as a Go error and as the value on the wire.
type Error struct {
	Code    Code
	Message string
	Data    chainpack.Value // Null: absent on the wire
}

// Error gives the message alone: it is what a person reads.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("RPC error %d", e.Code)
	}
	return e.Message
}

// Errorf makes an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound is the answer to a request for a path or a method that is not
// there, in the words that every broker uses (spec.md 7.1 b6).
func NotFound(method, path string) *Error {
	return Errorf(CodeMethodNotFound, "Method: '%s' on path '%s' doesn't exist", method, path)
}

// IsUnknown tells whether err says that a peer knows no such method: every broker has
// one code for that, and the Rust one may refuse a method before it looks for it
// (spec.md 3.6).
func IsUnknown(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Code == CodeMethodNotFound || e.Code == CodeNotImplemented || e.Code == CodePermission)
}

// Denied is the answer to a request whose access level is too low
// (spec.md 3.8).
func Denied(method, path string, granted, required Access) *Error {
	return Errorf(CodeException, "Call method: '%s' on path '%s' permission denied, grant: %s required: %s",
		method, path, granted, required)
}

// AsError turns any error into an RPC error; one that is none already gets
// CodeException.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeException, Message: err.Error()}
}

// Value is the IMap that stands under KeyError.
func (e *Error) Value() chainpack.Value {
	entries := []chainpack.Entry{chainpack.N(1, chainpack.Int(int64(e.Code)))}
	if e.Message != "" {
		entries = append(entries, chainpack.N(2, chainpack.String(e.Message)))
	}
	if !e.Data.IsNull() {
		entries = append(entries, chainpack.N(3, e.Data))
	}
	return chainpack.IMap(entries...)
}

// errorFromValue reads what stands under KeyError; anything unreadable becomes
// an error of the unknown kind, since the peer did say that it failed.
func errorFromValue(v chainpack.Value) *Error {
	e := &Error{Code: CodeException}
	if code, ok := v.GetInt(1); ok {
		if n, ok := code.AsInt(); ok {
			e.Code = Code(n)
		}
	}
	if text, ok := v.GetInt(2); ok {
		e.Message, _ = text.AsString()
	}
	e.Data, _ = v.GetInt(3)
	return e
}
