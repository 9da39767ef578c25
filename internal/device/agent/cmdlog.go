package agent

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shvtools/internal/device/policy"
	"shvtools/internal/device/runcmd"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

const (
	// typeJournalEntry is the type of the value of a cmdlog signal (spec.md 3.5).
	typeJournalEntry = 8
	// spontaneous is the flag that the C++ agent sets in such an entry.
	spontaneous = 2
	// maxLogged bounds the name of a program in an entry, in bytes.
	maxLogged = 200
)

// masked replaces what may be a secret: every subscriber reads the entry.
var masked = chainpack.String("***")

// logCall sends a cmdlog signal for each call of a method above write, before the call runs
// (spec.md 9.4).
func (c *connection) logCall(r *node.Request, m node.Method) {
	if m.Access <= rpc.AccessWrite && m.Flags&node.FlagUserID == 0 {
		return
	}
	now := time.Now()
	err := c.signal(r.Path, "cmdlog", chainpack.Map(
		chainpack.F("domain", chainpack.String("cmdlog")),
		chainpack.F("epochMsec", chainpack.Int(now.UnixMilli())),
		chainpack.F("timestamp", chainpack.Time(now)),
		chainpack.F("userId", chainpack.String(policy.UserChain(r.UserID))),
		chainpack.F("value", chainpack.String(r.Method+"("+cpon.String(shown(r.Method, r.Param))+")")),
		chainpack.F("valueFlags", chainpack.UInt(spontaneous)),
	).WithMeta(chainpack.N(rpc.TagMetaType, chainpack.Int(typeJournalEntry))))
	user := policy.UserChain(r.UserID)
	if err != nil && c.agent.often.Pass(provoked("cmdlog: signal not sent", user, err)) {
		c.agent.opts.Log.Warn().Err(err).Str("method", r.Method).Str("user", user).Msg("cmdlog: signal not sent")
	}
}

// shown returns a param without what may be secret: arguments, environments, the text of
// scripts, and everything else that is not known to be harmless.
func shown(method string, param chainpack.Value) chainpack.Value {
	switch method {
	case "runCmd":
		return shownCommand(param, firstWord)
	case "runScript":
		return shownCommand(param, runcmd.ScriptName)
	case "launchRexec":
		name, _ := param.Get("method")
		text, ok := name.AsString()
		if !ok {
			return masked
		}
		return chainpack.Map(chainpack.F("method", chainpack.String(firstWord(text))))
	}
	switch param.Kind() {
	case chainpack.KindNull, chainpack.KindBool:
		return param
	}
	return masked
}

// shownCommand keeps the shape of a param of runCmd or runScript.
func shownCommand(param chainpack.Value, name func(string) string) chainpack.Value {
	if text, ok := param.AsString(); ok {
		return chainpack.String(name(text))
	}
	if param.Kind() != chainpack.KindList {
		return shown("", param)
	}
	items := make([]chainpack.Value, param.Len())
	for i, item := range param.Items() {
		items[i] = masked
		if text, ok := item.AsString(); ok {
			items[i] = chainpack.String(name(text))
		} else if n, ok := item.AsInt(); ok {
			items[i] = chainpack.Int(n)
		}
	}
	return chainpack.List(items...)
}

// firstWord returns the name of a program, with *** for what follows. A first word that does
// not look like a name, such as a URL or a variable assignment, is masked, too.
func firstWord(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	name, more := text, ""
	if end >= 0 {
		name = text[:end]
		if strings.TrimSpace(text[end:]) != "" {
			more = " ***"
		}
	}
	if !isProgram(name) {
		return "***"
	}
	if len(name) > maxLogged {
		name = strings.ToValidUTF8(name[:maxLogged], "") + "…"
	}
	return name + more
}

// isProgram reports whether a text looks like the name of a program or a method.
func isProgram(name string) bool {
	return utf8.ValidString(name) && !strings.HasPrefix(name, "-") && !strings.Contains(name, "//") &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._+-", r)
		})
}
