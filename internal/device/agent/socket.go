package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// askWait bounds a request for the status, at both ends.
	askWait = 2 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 1 << 20
)

// ErrNoAgent is matched by the error of AskStatus if no agent answers.
var ErrNoAgent = errors.New("no agent runs here")

// ServeStatus listens on a Unix socket that only its owner can use, and answers each
// connection with a Report in JSON. stop ends that, and waits for the end.
func (s *Status) ServeStatus(path string) (stop func(), err error) {
	if conn, err := net.DialTimeout("unix", path, askWait); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("status socket %s: another agent uses it", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path) // left by an agent that was killed
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// Before the socket has a name, so that others can never connect.
		return c.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), 0o600) })
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("status socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("status socket: %w", err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				time.Sleep(100 * time.Millisecond) // out of descriptors
				continue
			}
			_ = conn.SetDeadline(time.Now().Add(askWait))
			_ = json.NewEncoder(conn).Encode(s.Report())
			_ = conn.Close()
		}
	})
	return func() {
		_ = l.Close()
		serving.Wait()
	}, nil
}

// AskStatus returns the report of the agent that serves the socket at path.
func AskStatus(path string) (Report, error) {
	var r Report
	conn, err := net.DialTimeout("unix", path, askWait)
	switch {
	case errors.Is(err, os.ErrPermission):
		return r, fmt.Errorf("the agent's socket %s belongs to another user", path)
	case err != nil:
		return r, fmt.Errorf("%w: no answer at %s", ErrNoAgent, path)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(askWait))
	if err := json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&r); err != nil {
		return r, fmt.Errorf("invalid answer at %s: %w", path, err)
	}
	return r, nil
}
