package transport

import (
	"net"
	"os"
	"syscall"
)

// Inherited returns the connected socket that the parent process passed as file descriptor fd.
// Processes that are started later do not inherit it.
func Inherited(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "inherited socket")
	if f == nil {
		return nil, os.ErrInvalid
	}
	defer f.Close()
	return net.FileConn(f)
}

// Pair returns two connected sockets: one to use, and one for a child process to inherit.
func Pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "socket to the helper")
	defer f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "socket of the helper")
	if ours, err = net.FileConn(f); err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
