// Package sdnotify reports the state of a service to systemd, over the datagram socket that
// NOTIFY_SOCKET names (sd_notify(3)). It does not decide what the state is, and receives
// nothing (package sdlisten does). It is no part of the protocol.
package sdnotify

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sendWait bounds the sending of a message: a service must not wait for systemd.
const sendWait = time.Second

// Notifier sends messages to systemd. The zero Notifier sends none. All methods may be called
// concurrently.
type Notifier struct {
	socket   string
	watchdog time.Duration // 0: there is no watchdog

	mu       sync.Mutex // keeps the messages in order
	stopping bool
}

// FromEnviron returns the Notifier for NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID as
// getenv returns them. Invalid values count as unset.
func FromEnviron(getenv func(string) string) *Notifier {
	n := &Notifier{socket: getenv("NOTIFY_SOCKET")}
	if n.socket == "" || n.socket[0] != '/' && n.socket[0] != '@' {
		return &Notifier{}
	}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if err == nil && usec > 0 && usec < int64(1<<62)/1000 {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

// Ready reports that the service serves, also after a reload. status is a text for people.
// After Stopping it does nothing.
func (n *Notifier) Ready(status string) error { return n.tell("READY=1", "STATUS="+line(status)) }

// Status reports a text for people. After Stopping it does nothing.
func (n *Notifier) Status(status string) error { return n.tell("STATUS=" + line(status)) }

// Reloading reports that the service reloads its configuration. Call Ready afterwards. After
// Stopping it does nothing.
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	return n.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping reports that the service is about to end. systemd then waits for longest, if it
// would wait for less otherwise.
func (n *Notifier) Stopping(status string, longest time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopping = true
	return n.send("STOPPING=1", "STATUS="+line(status), fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", longest.Microseconds()))
}

// Watch notifies the watchdog twice in each of its periods while healthy returns true, until
// ctx ends. It returns at once if there is no watchdog.
func (n *Notifier) Watch(ctx context.Context, healthy func() bool) {
	if n.watchdog < 2 {
		return
	}
	ticker := time.NewTicker(n.watchdog / 2)
	defer ticker.Stop()
	for {
		if healthy() {
			_ = n.send("WATCHDOG=1") // systemd notices a missing one
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// line makes a text one line, so that it is one assignment.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// tell sends assignments unless the service is stopping.
func (n *Notifier) tell(assignments ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopping {
		return nil
	}
	return n.send(assignments...)
}

func (n *Notifier) send(assignments ...string) error {
	if n.socket == "" {
		return nil
	}
	// Package net takes a leading @ for an abstract address.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(sendWait))
	if _, err := conn.Write([]byte(strings.Join(assignments, "\n"))); err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	return nil
}
