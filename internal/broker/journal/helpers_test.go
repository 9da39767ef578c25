package journal_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"shvtools/internal/broker/journal"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// message gives the bytes of a message written as CPON.
func message(t testing.TB, text string) []byte {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return chainpack.Append(nil, v)
}

// line gives what a journal says of a message.
func line(message []byte, unsafe, data bool) string {
	var out bytes.Buffer
	journal.New(&out, unsafe).Received(1, message, data)
	return strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), "1 <== ")
}

func seedLines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/seed.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(strings.TrimSpace(string(text)), "\n") // the first is a comment
	return strings.Split(lines, "\n")
}
