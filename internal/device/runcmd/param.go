// Package runcmd runs programs and scripts for callers who wait for their output
// (runCmd and runScript of spec.md 9.2, 9.3): it reads the shapes of the
// param, keeps scripts, and bounds output. Sessions, with a terminal or streams, are
// not its matter, nor is who may run what.
package runcmd

import (
	"unicode/utf8"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// errNotStarted and errCrashed have the words of the C++ agent.
var (
	errNotStarted = rpc.Errorf(rpc.CodeException, "Failed to start process (file not found, resource error)")
	errCrashed    = rpc.Errorf(rpc.CodeException, "Process crashed!")
)

// want is an entry of the result.
type want int

const (
	wantExit want = iota
	wantStdout
	wantStderr
)

// Call is a param of runCmd or runScript.
type Call struct {
	Text string // the program, or the script or its SHA1
	Args []string
	Env  []string // the whole environment as KEY=value; nil: that of the agent

	wants []want
	list  bool // the result is a List
}

// ParseCall reads a param. What would end in an error after the run is an error
// before it.
func ParseCall(param chainpack.Value) (Call, error) {
	if text, ok := param.AsString(); ok {
		return Call{Text: text, wants: []want{wantStdout}}, nil
	}
	if param.Kind() != chainpack.KindList {
		return Call{}, errNotStarted // as the C++ agent, which looks for a program ""
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

// text is a String as it is, and CPON of anything else.
func text(v chainpack.Value) string {
	if s, ok := v.AsString(); ok {
		return s
	}
	return cpon.String(v)
}

// result makes the result of how it ended.
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

// written is what a program wrote: a String, as the C++ agent has it for all, or a
// Blob where that is no UTF-8. Peers that take Strings for text cannot read such
// an answer, would ask for it again, and so run the program over and over.
func written(b []byte) chainpack.Value {
	if !utf8.Valid(b) {
		return chainpack.Blob(b)
	}
	return chainpack.String(string(b))
}

// copies is how often the result holds a stream.
func (c Call) copies(w want) (n int) {
	for _, wanted := range c.wants {
		if wanted == w {
			n++
		}
	}
	return n
}
