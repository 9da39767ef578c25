// Package sdlisten takes over the listening sockets that systemd, or another parent,
// has opened for this process (sd_listen_fds(3)). It opens none, and does not know
// what is spoken there. It belongs to no section of the protocol.
package sdlisten

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// firstFD is where the sockets begin.
	firstFD = 3
	// maxSockets bounds what is believed of the environment.
	maxSockets = 1000
	// unnamed is what systemd calls a socket without a name.
	unnamed = "unknown"
)

// Socket is a listening socket by its name, which in a unit of systemd
// FileDescriptorName gives. Several may have one name.
type Socket struct {
	Name string
	net.Listener
}

// FromEnviron takes the sockets that LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID tell
// of, and unsets these, so that no child takes them for its own. Nor does one inherit
// the sockets. There are none where the variables are for another process. Where a
// descriptor is no listening socket, all are closed; where the variables contradict
// themselves, no descriptor is touched, for it may be something else's.
func FromEnviron(getenv func(string) string, unsetenv func(string) error) ([]Socket, error) {
	pid, fds, names := getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := unsetenv(name); err != nil {
			return nil, fmt.Errorf("environment: %w", err)
		}
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	return take(firstFD, fds, names)
}

// take makes listeners of the descriptors from first on.
func take(first int, fds, names string) (sockets []Socket, err error) {
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS is %q, and no count of sockets", fds)
	}
	named := strings.Split(names, ":")
	if names != "" && len(named) != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES has %d names, and LISTEN_FDS says %d sockets", len(named), n)
	}
	var faults []error
	for i := range n {
		name := unnamed
		if names != "" {
			name = named[i]
		}
		l, err := listener(first+i, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		sockets = append(sockets, Socket{name, l})
	}
	if faults != nil {
		for _, s := range sockets {
			_ = s.Close()
		}
		return nil, errors.Join(faults...)
	}
	return sockets, nil
}

func listener(fd int, name string) (net.Listener, error) {
	what := fmt.Sprintf("socket %q (file descriptor %d)", name, fd)
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	if f == nil {
		return nil, fmt.Errorf("%s is not there", what)
	}
	defer f.Close() // the listener has its own
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("%s is none: %w", what, err)
	}
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || kind != unix.SOCK_STREAM || accepts == 0 {
		return nil, fmt.Errorf("%s does not listen: its unit needs ListenStream= and Accept=no", what)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return l, nil
}
