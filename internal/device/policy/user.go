package policy

import (
	"strings"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// maxChain bounds the text of UserChain, in bytes.
const maxChain = 1 << 10

// UserChain returns the whole value of tag 16 as text for logs; "" without the tag.
// It is valid UTF-8 of bounded length and proves nothing: see rpc.UserOf.
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
