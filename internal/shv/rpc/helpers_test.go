package rpc_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

func value(t testing.TB, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// encode returns the bytes of a message in CPON.
func encode(t testing.TB, text string) []byte {
	t.Helper()
	return chainpack.Append(nil, value(t, text))
}

func parse(t testing.TB, text string) *rpc.Message {
	t.Helper()
	return parseBytes(t, encode(t, text))
}

func parseBytes(t testing.TB, b []byte) *rpc.Message {
	t.Helper()
	m := new(rpc.Message)
	if err := m.Parse(b); err != nil {
		t.Fatalf("Parse of % x: %v", b, err)
	}
	return m
}

// text returns the current message in CPON.
func text(t testing.TB, m *rpc.Message) string {
	t.Helper()
	return decoded(t, append(m.AppendMeta(nil), m.Body()...))
}

func decoded(t testing.TB, message []byte) string {
	t.Helper()
	v, n, err := chainpack.Decode(message, chainpack.Limits{})
	if err != nil || n != len(message) {
		t.Fatalf("% x: used %d, %v", message, n, err)
	}
	return cpon.String(v)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}
