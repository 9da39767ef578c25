// Package helperline is what an agent tells its helper: one line of CPON on the
// helper's stdin, and one line back on its stdout (spec.md 8.3, design.md
// section 6). The line has the form of the C++ agent, and keys that the C++
// helper passes over, so either half may be exchanged. It starts no process.
package helperline

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"shvtools/internal/device/policy"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// MaxLine bounds the agent's line, in bytes.
const MaxLine = 1 << 20

// Call is what the caller asked launchRexec for.
type Call struct {
	Method   string
	Params   chainpack.Value
	Ext      tunnel.Ext
	Extended bool // the caller offered Ext
}

// CallFromParam reads the param of launchRexec. Nothing is judged: what cannot
// be read stays empty, and the helper says so to the caller.
func CallFromParam(param chainpack.Value) Call {
	var c Call
	method, _ := param.Get("method")
	c.Method, _ = method.AsString()
	c.Params, _ = param.Get("params")
	c.Ext, c.Extended = tunnel.ExtOf(param)
	return c
}

// Value is the param again, of the keys that are known alone.
func (c Call) Value() chainpack.Value {
	entries := []chainpack.Entry{
		chainpack.F("method", chainpack.String(c.Method)),
		chainpack.F("params", c.Params),
	}
	if c.Extended {
		entries = append(entries, chainpack.F("ext", c.Ext.Value()))
	}
	return chainpack.Map(entries...)
}

// Trust is by what the agent itself judges the broker that it is connected to, for
// a helper that connects to an offered address.
type Trust struct {
	CA        string // file of certificates; "": the system's
	CRL       string // file of revocation lists; "": none
	NoVerify  bool
	Cert, Key string // files of what to show of oneself; "": nothing
	Name      string // in which a certificate must be, where the address has none
	Socket    string // path of the broker's socket as the agent sees it
}

// Line is the line for the helper.
type Line struct {
	Find   rpc.TunnelCtl // the FindTunnelResponse, with the request id of the call
	Call   Call
	Policy policy.Grant
	User   string // chain of the users who called, for logs
	// InBand: there is no tunnel to log in to. The agent carries the session, on a
	// socket that the helper has as file descriptor InBandFD.
	InBand bool
	Trust  Trust
}

// InBandFD is where a helper finds the socket to its agent.
const InBandFD = 3

// base is what holds for the line of a C++ agent, which knows no policy: what its
// own helper would do, and nothing of what we add to it.
var base = policy.Grant{
	Rule:   "the agent's line, which has no policy,",
	Uses:   []policy.Use{policy.Shell, policy.Commands},
	Limits: policy.Limits{Umask: -1},
}

// Append appends the line with its newline.
func (l Line) Append(dst []byte) []byte {
	entries := []chainpack.Entry{
		chainpack.F("findTunnelResponse", l.Find.Value()),
		chainpack.F("onConnectedCall", l.Call.Value()),
		chainpack.F("policy", l.Policy.Value()),
		chainpack.F("caller", chainpack.Map(chainpack.F("user", chainpack.String(l.User)))),
	}
	if l.InBand {
		entries = append(entries, chainpack.F("inband", chainpack.Bool(true)))
	}
	if l.Trust != (Trust{}) {
		entries = append(entries, chainpack.F("trust", l.Trust.value()))
	}
	return append(cpon.Append(dst, chainpack.Map(entries...)), '\n')
}

func (t Trust) value() chainpack.Value {
	return chainpack.Map(
		chainpack.F("ca", chainpack.String(t.CA)),
		chainpack.F("verify", chainpack.Bool(!t.NoVerify)),
		chainpack.F("name", chainpack.String(t.Name)),
		chainpack.F("socket", chainpack.String(t.Socket)),
		chainpack.F("crl", chainpack.String(t.CRL)),
		chainpack.F("cert", chainpack.String(t.Cert)),
		chainpack.F("key", chainpack.String(t.Key)),
	)
}

// trustOf reads it; what is absent or unreadable trusts nobody more.
func trustOf(v chainpack.Value) (t Trust) {
	text := func(name string) string {
		field, _ := v.Get(name)
		s, _ := field.AsString()
		return s
	}
	t.CA, t.Name, t.Socket = text("ca"), text("name"), text("socket")
	t.CRL, t.Cert, t.Key = text("crl"), text("cert"), text("key")
	verify, _ := v.Get("verify")
	yes, ok := verify.AsBool()
	t.NoVerify = ok && !yes
	return t
}

// ParseLine reads the line of an agent, ours or the C++ one.
func ParseLine(text []byte) (Line, error) {
	v, err := cpon.Parse(bytes.TrimSpace(text), chainpack.Limits{})
	if err != nil {
		return Line{}, fmt.Errorf("the agent's line: %w", err)
	}
	find, ok := v.Get("findTunnelResponse")
	if !ok {
		return Line{}, errors.New("the agent's line has no findTunnelResponse")
	}
	call, _ := v.Get("onConnectedCall")
	l := Line{Find: rpc.TunnelCtlFromValue(find), Call: CallFromParam(call)}
	if l.Find.State != rpc.FindTunnelResponse {
		return Line{}, errors.New("the agent's line has another thing for its findTunnelResponse")
	}
	l.Policy = base
	if grant, ok := v.Get("policy"); ok {
		l.Policy = policy.GrantFromValue(grant)
	}
	caller, _ := v.Get("caller")
	user, _ := caller.Get("user")
	l.User, _ = user.AsString()
	inBand, _ := v.Get("inband")
	l.InBand, _ = inBand.AsBool()
	trust, _ := v.Get("trust")
	l.Trust = trustOf(trust)
	return l, nil
}

// AppendStarted appends the line with which a helper names the process group of
// its session, so that the agent can end it when the helper itself is killed.
func AppendStarted(dst []byte, pgid int) []byte {
	v := chainpack.Map(chainpack.F("processGroup", chainpack.Int(int64(pgid))))
	return append(cpon.Append(dst, v), '\n')
}

// ParseStarted reads such a line; ok is false for any other.
func ParseStarted(text []byte) (pgid int, ok bool) {
	v, err := cpon.Parse(bytes.TrimSpace(text), chainpack.Limits{})
	if err != nil {
		return 0, false
	}
	field, _ := v.Get("processGroup")
	n, ok := field.AsInt()
	if !ok || n <= 1 || n > math.MaxInt32 {
		return 0, false
	}
	return int(n), true
}
