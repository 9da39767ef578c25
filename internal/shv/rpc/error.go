package rpc

import (
	"errors"
	"fmt"

	"shvtools/internal/shv/chainpack"
)

// Code is the number of an RPC error (spec.md 3.6).
type Code int

// The codes of spec.md 3.6 that peers use today.
const (
	CodeInvalidRequest  Code = 1
	CodeMethodNotFound  Code = 2 // unknown path or method
	CodeInvalidParam    Code = 3
	CodeInternal        Code = 4
	CodeTimeout         Code = 6
	CodeCancelled       Code = 7
	CodeException       Code = 8 // all other failures, also of permission and login
	CodePermission      Code = 9 // sent by the Rust broker for a denied call
	CodeLoginRequired   Code = 10
	CodeUserIDRequired  Code = 11
	CodeNotImplemented  Code = 12
	CodeTryAgainLater   Code = 13
	CodeRequestInvalid  Code = 14 // answer to an abort or query of a call that does not run
	CodeFirstOfUserCode Code = 32
)

// Keys of the value of an error (spec.md 3.6).
const (
	errorCode    = 1
	errorMessage = 2
	errorData    = 3
)

// Error is an RPC error, as a Go error and as the value on the wire.
type Error struct {
	Code    Code
	Message string
	Data    chainpack.Value // Null: left out on the wire
}

// Error returns only the message, which is what people read.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("RPC error %d", e.Code)
	}
	return e.Message
}

// Errorf returns an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotFound is the answer to a request for an unknown path or method, with the text that every
// broker uses (spec.md 7.1b).
func NotFound(method, path string) *Error {
	return Errorf(CodeMethodNotFound, "Method: '%s' on path '%s' doesn't exist", method, path)
}

// IsUnknown reports whether err says that a peer does not know a method. Brokers use different
// codes for that, and the Rust one may deny a method before it looks for it (spec.md 3.6).
func IsUnknown(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Code == CodeMethodNotFound || e.Code == CodeNotImplemented || e.Code == CodePermission)
}

// Denied is the answer to a request whose access level is too low (spec.md 3.8).
func Denied(method, path string, granted, required Access) *Error {
	return Errorf(CodeException, "Call method: '%s' on path '%s' permission denied, grant: %s required: %s",
		method, path, granted, required)
}

// AsError turns any error into an RPC error. Errors of other types get CodeException.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeException, Message: err.Error()}
}

// Value returns the IMap under KeyError (spec.md 3.6).
func (e *Error) Value() chainpack.Value {
	entries := []chainpack.Entry{chainpack.N(errorCode, chainpack.Int(int64(e.Code)))}
	if e.Message != "" {
		entries = append(entries, chainpack.N(errorMessage, chainpack.String(e.Message)))
	}
	if !e.Data.IsNull() {
		entries = append(entries, chainpack.N(errorData, e.Data))
	}
	return chainpack.IMap(entries...)
}

// errorFromValue reads the value under KeyError. Parts that are unreadable stay unset, and the code
// becomes CodeException: the peer did report a failure.
func errorFromValue(v chainpack.Value) *Error {
	e := &Error{Code: CodeException}
	if code, ok := v.GetInt(errorCode); ok {
		if n, ok := code.AsInt(); ok {
			e.Code = Code(n)
		}
	}
	if text, ok := v.GetInt(errorMessage); ok {
		e.Message, _ = text.AsString()
	}
	e.Data, _ = v.GetInt(errorData)
	return e
}
