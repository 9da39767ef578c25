// Package sdnotify tells systemd how a service is, over the datagram socket that
// NOTIFY_SOCKET names (sd_notify(3)). It is no supervisor and opens no sockets for
// others. It belongs to no section of the protocol.
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

// sendWait bounds one message: systemd that does not read must not stop a service.
const sendWait = time.Second

// Notifier sends messages to systemd. The zero Notifier sends none: nobody asked.
// All methods may be called concurrently.
type Notifier struct {
	socket   string
	watchdog time.Duration // 0: not watched

	mu       sync.Mutex // keeps the messages in order
	stopping bool
}

// FromEnviron reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID by getenv, and
// gives the Notifier of this process. What cannot be read counts as not there.
func FromEnviron(getenv func(string) string) *Notifier {
	n := &Notifier{socket: getenv("NOTIFY_SOCKET")}
	if n.socket == "" || n.socket[0] != '/' && n.socket[0] != '@' {
		return &Notifier{}
	}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n
	}
	if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 && usec < int64(1<<62)/1000 {
		n.watchdog = time.Duration(usec) * time.Microsecond
	}
	return n
}

// Ready tells that the service serves, also after a reload; status is for people.
// A service that stops is not ready any more: after Stopping it tells nothing.
func (n *Notifier) Ready(status string) error { return n.tell("READY=1", "STATUS="+line(status)) }

// Status tells people how the service is, until Stopping.
func (n *Notifier) Status(status string) error { return n.tell("STATUS=" + line(status)) }

// Reloading tells that the service reads its configuration again. Ready follows.
// After Stopping it tells nothing.
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	return n.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping tells that the service is about to end, and has systemd wait so long for
// that, where it would wait for less.
func (n *Notifier) Stopping(status string, longest time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopping = true
	return n.send("STOPPING=1", "STATUS="+line(status), fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", longest.Microseconds()))
}

// Watch feeds the watchdog at half of its time while healthy agrees, until ctx
// ends. It returns at once where nobody watches.
func (n *Notifier) Watch(ctx context.Context, healthy func() bool) {
	if n.watchdog < 2 {
		return
	}
	ticker := time.NewTicker(n.watchdog / 2)
	defer ticker.Stop()
	for {
		if healthy() {
			_ = n.send("WATCHDOG=1") // systemd notices that it does not come
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// line keeps a text from being several assignments.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// tell sends what is not to be told any more once the service stops.
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
	// Package net makes an abstract address of a leading @.
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
