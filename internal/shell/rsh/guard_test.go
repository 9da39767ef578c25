package rsh

import (
	"net"
	"strings"
	"testing"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/wire/link"
)

// A panic in a goroutine would end the program with the terminal in raw mode; as
// the end of the session it comes to where the terminal is restored.
func TestPanicOfAGoroutineEndsTheSessionInGoodOrder(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	l := link.New(ours, link.Options{})
	defer l.Close(link.Done)
	s := &session{end: tunnel.New(tunnel.Options{Link: l})}
	s.guard(func() { panic("boom") })
	if err := s.end.Closing().Err; err == nil || !strings.Contains(err.Error(), "panic: boom") {
		t.Errorf("the session ended with %v", err)
	}
}
