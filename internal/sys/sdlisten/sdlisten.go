// Package sdlisten takes over the listening sockets that systemd, or another parent, has
// opened for this process (sd_listen_fds(3)). It opens none itself, and does not know what
// they are for. It is no part of the protocol.
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
	// firstFD is the descriptor of the first socket.
	firstFD = 3
	// maxSockets bounds the number of sockets that the environment may name.
	maxSockets = 1000
	// unnamed is systemd's name for a socket without one.
	unnamed = "unknown"
)

// Socket is a listening socket with its name, which FileDescriptorName= sets in a systemd
// unit. Several sockets may have the same name.
type Socket struct {
	Name string
	net.Listener
}

// FromEnviron returns the sockets that LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID describe,
// and unsets these variables. Children inherit neither the variables nor the sockets. It
// returns none if the variables are for another process. If a descriptor is not a listening
// socket, it closes all of them and returns an error; if the variables are invalid, it
// touches no descriptor, since they may belong to something else.
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

// take returns listeners for the descriptors from first on.
func take(first int, fds, names string) (sockets []Socket, err error) {
	n, err := strconv.Atoi(fds)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("invalid LISTEN_FDS %q (want the number of sockets)", fds)
	}
	named := strings.Split(names, ":")
	if names != "" && len(named) != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES has %d names for the %d sockets of LISTEN_FDS", len(named), n)
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
		return nil, fmt.Errorf("%s is not open", what)
	}
	defer f.Close() // the listener has its own
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("%s is not a socket: %w", what, err)
	}
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || kind != unix.SOCK_STREAM || accepts == 0 {
		return nil, fmt.Errorf("%s does not listen; its unit needs ListenStream= and Accept=no", what)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return l, nil
}
