// Package helperline reads and writes the lines between an agent and its helper: one
// line of CPON on the helper's stdin, later ones with orders, and one line back on its
// stdout (spec.md 8.3). The first line has the form of the C++ agent and further keys,
// which the C++ helper ignores, so either half may be replaced by the other's.
//
// It starts no process and judges nothing; see packages agent, rexec and policy.
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

// MaxLine is the longest line of an agent, in bytes.
const MaxLine = 1 << 20

// Call is the param of launchRexec: what the caller wants to run.
type Call struct {
	Method   string // runCmd or runPtyCmd
	Params   chainpack.Value
	Ext      tunnel.Ext
	Extended bool // the caller offered Ext
	// NoTerminal says that the caller asked for a terminal, which the policy refuses.
	NoTerminal bool
}

// WithoutTerminal returns c as a call for the same command without a terminal. A helper that
// knows no policy gives none then, too.
func (c Call) WithoutTerminal() Call {
	if c.Method == runPty {
		c.Method, c.Params, c.NoTerminal = run, c.Params.At(0), true
	}
	return c
}

// The methods of a Call.
const (
	run    = "runCmd"
	runPty = "runPtyCmd"
)

// CallFromParam reads the param of launchRexec. What cannot be read stays empty; the
// helper reports that to the caller.
func CallFromParam(param chainpack.Value) Call {
	var c Call
	method, _ := param.Get("method")
	c.Method, _ = method.AsString()
	c.Params, _ = param.Get("params")
	terminal, _ := param.Get("terminal")
	given, said := terminal.AsBool()
	c.NoTerminal = said && !given
	c.Ext, c.Extended = tunnel.ExtOf(param)
	return c
}

// Value returns the param with the known keys.
func (c Call) Value() chainpack.Value {
	entries := []chainpack.Entry{
		chainpack.F("method", chainpack.String(c.Method)),
		chainpack.F("params", c.Params),
	}
	if c.Extended {
		entries = append(entries, chainpack.F("ext", c.Ext.Value()))
	}
	if c.NoTerminal {
		entries = append(entries, chainpack.F("terminal", chainpack.Bool(false)))
	}
	return chainpack.Map(entries...)
}

// Trust is how the agent verifies its own broker. The helper verifies an offered address
// in the same way.
type Trust struct {
	CA        string // file with CA certificates; "": the system's
	CRL       string // file with revocation lists; "": none
	NoVerify  bool   // accept any certificate
	Cert, Key string // files of the client certificate; "": none
	Name      string // that a certificate must have if the address is an IP address
	Socket    string // path of the broker's Unix socket as the agent sees it
	Owner     string // user who may listen on it besides root and the agent's own user; "": none
	Plaintext bool   // the session may leave the device without encryption
	// Untold means that the agent, of C++ or before 1.1.0, says nothing of owners and plaintext: the
	// helper then goes wherever the broker sends it.
	Untold bool
}

// Line is the agent's first line to the helper.
type Line struct {
	Find   rpc.TunnelCtl // the FindTunnelResponse, with the request id of the call
	Call   Call
	Policy policy.Grant
	User   string // chain of the calling users, for logs
	// Session is the name of the session (rpc.SessionName); "": the agent has none.
	Session string
	// InBand says that there is no tunnel to log in to: the agent carries the session
	// on a socket, which the helper has as file descriptor InBandFD.
	InBand bool
	Trust  Trust
}

// InBandFD is the file descriptor of the socket to the agent in a helper.
const InBandFD = 3

// base is the grant for the line of a C++ agent, which has no policy: what the C++ helper
// would do, and nothing that we add to it.
var base = policy.Grant{
	Rule:   "the agent's line, which has no policy,",
	Uses:   []policy.Use{policy.Shell, policy.Commands},
	Limits: policy.Limits{Umask: -1},
}

// Append appends the line and its newline to dst.
func (l Line) Append(dst []byte) []byte {
	entries := []chainpack.Entry{
		chainpack.F("findTunnelResponse", l.Find.Value()),
		chainpack.F("onConnectedCall", l.Call.Value()),
		chainpack.F("policy", l.Policy.Value()),
		chainpack.F("caller", chainpack.Map(chainpack.F("user", chainpack.String(l.User)))),
	}
	if l.Session != "" {
		entries = append(entries, chainpack.F("session", chainpack.String(l.Session)))
	}
	if l.InBand {
		entries = append(entries, chainpack.F("inband", chainpack.Bool(true)))
	}
	entries = append(entries, chainpack.F("trust", l.Trust.value()))
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
		chainpack.F("owner", chainpack.String(t.Owner)),
		chainpack.F("plaintext", chainpack.Bool(t.Plaintext)),
	)
}

// trustOf reads a Trust. Absent or unreadable keys never extend trust.
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
	t.Owner = text("owner")
	plaintext, told := v.Get("plaintext")
	t.Plaintext, _ = plaintext.AsBool()
	t.Untold = v.Kind() == chainpack.KindMap && !told
	return t
}

// ParseLine reads the first line of an agent, ours or the C++ one.
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
		return Line{}, errors.New("the agent's line has no FindTunnelResponse in its findTunnelResponse")
	}
	l.Policy = base
	if grant, ok := v.Get("policy"); ok {
		l.Policy = policy.GrantFromValue(grant)
	}
	caller, _ := v.Get("caller")
	user, _ := caller.Get("user")
	l.User, _ = user.AsString()
	session, _ := v.Get("session")
	l.Session, _ = session.AsString()
	inBand, _ := v.Get("inband")
	l.InBand, _ = inBand.AsBool()
	if trust, ok := v.Get("trust"); ok {
		l.Trust = trustOf(trust)
	} else {
		l.Trust.Untold = true
	}
	return l, nil
}

// AppendStarted appends to dst the line with which a helper reports the process group of
// its session. The agent ends the group if the helper is killed.
func AppendStarted(dst []byte, pgid int) []byte {
	v := chainpack.Map(chainpack.F("processGroup", chainpack.Int(int64(pgid))))
	return append(cpon.Append(dst, v), '\n')
}

// ParseStarted reads the line of AppendStarted; ok is false for any other line.
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
