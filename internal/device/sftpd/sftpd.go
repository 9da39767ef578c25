// Package sftpd serves SFTP on a pair of streams, for the subsystem sftp of a session, so
// that devices need no sftp-server. github.com/pkg/sftp implements the protocol; this
// package connects it with the streams of a process. It limits nothing: see packages
// policy and runas.
package sftpd

import (
	"errors"
	"io"
	"os"

	"github.com/pkg/sftp"
)

// maxPacket bounds the data in one packet, in bytes. Clients ask for 32 KiB unless the
// server offers more.
const maxPacket = 256 << 10

// Serve serves a client until in ends. Relative paths start at the working directory of
// the process. Clients may do what the process may do.
func Serve(in io.Reader, out io.WriteCloser) error {
	// Not sftp.WithServerWorkingDirectory: it would also prefix the targets of relative
	// symbolic links.
	server, err := sftp.NewServer(streams{in, out}, sftp.WithAllocator(), sftp.WithMaxTxPacket(maxPacket))
	if err != nil {
		return err
	}
	err = server.Serve()
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

type streams struct {
	io.Reader
	io.WriteCloser
}
