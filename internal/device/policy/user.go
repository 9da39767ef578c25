package policy

import (
	"strings"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// maxChain bounds the text of UserChain, in bytes.
const maxChain = 1 << 10

// UserOf returns the name of the user who calls, from the value of tag 16; "" if it
// names nobody. Of a chain it is the last entry, which the agent's own broker has
// written: the entries before it came from afar and prove nothing (spec.md 3.8).
func UserOf(tag chainpack.Value) string {
	if shvUser, ok := tag.Get("shvUser"); ok { // the form of C++ brokers
		name, _ := shvUser.AsString()
		return name
	}
	chain, _ := tag.AsString()
	last := chain[strings.LastIndexByte(chain, ';')+1:]
	name, _, _ := strings.Cut(last, ":") // "user:broker"
	return strings.TrimSpace(name)
}

// UserChain returns the whole value of tag 16 as text for logs; "" without the tag.
// It is valid UTF-8 of bounded length and proves nothing: see UserOf.
func UserChain(tag chainpack.Value) string {
	if tag.IsNull() {
		return ""
	}
	if text, ok := tag.AsString(); ok {
		return EndOfChain(text)
	}
	return EndOfChain(cpon.String(tag))
}

// EndOfChain leaves out the beginning of a long chain: callers write the beginning,
// and the nearest brokers the end.
func EndOfChain(text string) string {
	if len(text) > maxChain {
		text = "…" + text[len(text)-maxChain:]
	}
	return strings.ToValidUTF8(text, "?")
}
