// Package runcmd runs programs and scripts for callers that wait for their output, as
// runCmd and runScript do (spec.md 9.2, 9.3). It reads the forms of the param, keeps
// scripts, bounds output, and ends what runs when the call ends.
//
// It has no terminals and streams (package rexec does), and does not decide who may run
// what (package policy does).
package runcmd

import (
	"unicode/utf8"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// errNotStarted and errCrashed have the texts of the C++ agent, which clients match.
var (
	errNotStarted = rpc.Errorf(rpc.CodeException, "Failed to start process (file not found, resource error)")
	errCrashed    = rpc.Errorf(rpc.CodeException, "Process crashed!")
)

// want is what an entry of the result holds.
type want int

const (
	wantExit want = iota
	wantStdout
	wantStderr
)

// Call is the param of runCmd or runScript.
type Call struct {
	Text string // the program; or a script, or its SHA1 in hex
	Args []string
	Env  []string // the whole environment as KEY=value; nil: that of the Host

	wants []want
	list  bool // the result is a List
}

// ParseCall reads a param. It refuses what could only be answered with an error after the
// program has run. Errors are for the caller.
func ParseCall(param chainpack.Value) (Call, error) {
	if text, ok := param.AsString(); ok {
		return Call{Text: text, wants: []want{wantStdout}}, nil
	}
	if param.Kind() != chainpack.KindList {
		return Call{}, errNotStarted // as the C++ agent, which looks for a program named ""
	}
	c := Call{list: true}
	given := false
	for _, item := range param.Items() {
		switch item.Kind() {
		case chainpack.KindString:
			c.Text, _ = item.AsString()
			given = true
			c.wants = append(c.wants, wantExit)
		case chainpack.KindList:
			c.Args = nil
			for _, arg := range item.Items() {
				c.Args = append(c.Args, text(arg))
			}
		case chainpack.KindMap:
			c.Env = []string{}
			for _, e := range item.Entries() {
				c.Env = append(c.Env, e.Key.Str()+"="+text(e.Value))
			}
		default:
			n, ok := item.AsInt()
			switch {
			case ok && n == 1:
				c.wants = append(c.wants, wantStdout)
			case ok && n == 2:
				c.wants = append(c.wants, wantStderr)
			default:
				return Call{}, rpc.Errorf(rpc.CodeException, "Invalid request parameter: %s", cpon.String(item))
			}
		}
	}
	if !given {
		return Call{}, errNotStarted
	}
	return c, nil
}

// text returns a String as it is, and anything else as CPON.
func text(v chainpack.Value) string {
	if s, ok := v.AsString(); ok {
		return s
	}
	return cpon.String(v)
}

// result returns the result of the call for a program that ended with code.
func (c Call) result(code int, stdout, stderr []byte) chainpack.Value {
	if !c.list {
		return written(stdout)
	}
	items := make([]chainpack.Value, len(c.wants))
	for i, w := range c.wants {
		switch w {
		case wantExit:
			items[i] = chainpack.Int(int64(code))
		case wantStdout:
			items[i] = written(stdout)
		case wantStderr:
			items[i] = written(stderr)
		}
	}
	return chainpack.List(items...)
}

// written returns what a program wrote: as a String, like the C++ agent, or as a Blob if
// it is not UTF-8. Peers that decode Strings as text would fail on such an answer, repeat
// the call, and so run the program over and over.
func written(b []byte) chainpack.Value {
	if !utf8.Valid(b) {
		return chainpack.Blob(b)
	}
	return chainpack.String(string(b))
}

// copies returns how often the result holds a stream.
func (c Call) copies(w want) (n int) {
	for _, wanted := range c.wants {
		if wanted == w {
			n++
		}
	}
	return n
}
