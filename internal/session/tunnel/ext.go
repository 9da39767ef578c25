package tunnel

import "shvtools/internal/shv/chainpack"

// Version is the version of the additions (protocol.md 1).
const Version = 1

// Windows in bytes: how much of a channel may be unacknowledged (protocol.md 1).
const (
	CommandWindow = 1 << 20
	PtyWindow     = 128 << 10
	minWindow     = 4096
)

// RunKind is what a session runs.
type RunKind int

// The kinds of Run.
const (
	RunNone      RunKind = iota // what method and params of launchRexec say
	RunShell                    // a login shell
	RunExec                     // a command line, by the device's shell
	RunSubsystem                // a built-in service
)

// Run is the key "run" of an offer.
type Run struct {
	Kind RunKind
	Text string // RunShell: path of a shell, "" for the user's own; otherwise the command line or name
}

// Ext is what two ends agree on beyond the base protocol (protocol.md 1). The client offers it with
// its call, the helper answers with it in CreateTunnelRequest.
type Ext struct {
	Version int64
	Window  int64 // bytes that the other end may have unacknowledged per channel; 0: no limit
	Run     Run
	Env     []EnvVar // in the order of the wire
	Session string   // the name of the session in logs and lists

	Features []string // optional features by name

	// NoTerminal says that the helper gives no terminal although the call asks for one.
	NoTerminal bool
}

// EnvVar is one variable of the environment.
type EnvVar struct{ Name, Value string }

// Value returns the wire form.
func (e Ext) Value() chainpack.Value {
	entries := []chainpack.Entry{chainpack.F("version", chainpack.Int(e.Version))}
	if e.Window > 0 {
		entries = append(entries, chainpack.F("window", chainpack.Int(e.Window)))
	}
	if run := e.Run.value(); !run.IsNull() {
		entries = append(entries, chainpack.F("run", run))
	}
	if len(e.Env) > 0 {
		env := make([]chainpack.Entry, len(e.Env))
		for i, v := range e.Env {
			env[i] = chainpack.F(v.Name, chainpack.String(v.Value))
		}
		entries = append(entries, chainpack.F("env", chainpack.Map(env...)))
	}
	if len(e.Features) > 0 {
		features := make([]chainpack.Value, len(e.Features))
		for i, name := range e.Features {
			features[i] = chainpack.String(name)
		}
		entries = append(entries, chainpack.F("features", chainpack.List(features...)))
	}
	if e.NoTerminal {
		entries = append(entries, chainpack.F("terminal", chainpack.Bool(false)))
	}
	if e.Session != "" {
		entries = append(entries, chainpack.F("session", chainpack.String(e.Session)))
	}
	return chainpack.Map(entries...)
}

func (r Run) value() chainpack.Value {
	switch {
	case r.Kind == RunShell && r.Text == "":
		return chainpack.Map(chainpack.F("shell", chainpack.Null()))
	case r.Kind == RunShell:
		return chainpack.Map(chainpack.F("shell", chainpack.String(r.Text)))
	case r.Kind == RunExec:
		return chainpack.Map(chainpack.F("exec", chainpack.String(r.Text)))
	case r.Kind == RunSubsystem:
		return chainpack.Map(chainpack.F("subsystem", chainpack.String(r.Text)))
	}
	return chainpack.Value{}
}

// extFromValue reads the wire form. ok is false for other values and for unknown versions: their
// sender then is a peer of the base protocol. It ignores unknown keys.
func extFromValue(v chainpack.Value) (e Ext, ok bool) {
	version, _ := v.Get("version")
	e.Version, ok = version.AsInt()
	if !ok || e.Version < Version {
		return Ext{}, false
	}
	if window, present := v.Get("window"); present {
		n, _ := window.AsInt()
		e.Window = max(n, minWindow)
	}
	if run, present := v.Get("run"); present {
		e.Run = runFromValue(run)
	}
	env, _ := v.Get("env")
	for _, entry := range env.Entries() {
		if text, ok := entry.Value.AsString(); ok && !entry.Key.IsInt() {
			e.Env = append(e.Env, EnvVar{entry.Key.Str(), text})
		}
	}
	features, _ := v.Get("features")
	for _, item := range features.Items() {
		if name, ok := item.AsString(); ok {
			e.Features = append(e.Features, name)
		}
	}
	terminal, _ := v.Get("terminal")
	given, said := terminal.AsBool()
	e.NoTerminal = said && !given
	session, _ := v.Get("session")
	e.Session, _ = session.AsString()
	return e, true
}

func runFromValue(v chainpack.Value) Run {
	for _, e := range v.Entries() {
		text, _ := e.Value.AsString()
		switch e.Key.Str() {
		case "shell":
			return Run{RunShell, text}
		case "exec":
			return Run{RunExec, text}
		case "subsystem":
			return Run{RunSubsystem, text}
		}
	}
	return Run{}
}

// ExtOf reads the key "ext" of a Map: the param of launchRexec, or the result in a
// CreateTunnelRequest.
func ExtOf(v chainpack.Value) (Ext, bool) {
	ext, ok := v.Get("ext")
	if !ok {
		return Ext{}, false
	}
	return extFromValue(ext)
}
