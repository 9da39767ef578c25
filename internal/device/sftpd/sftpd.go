// Package sftpd serves files by SFTP on a pair of streams, so that a device needs
// no sftp-server of its own. The protocol is github.com/pkg/sftp's matter; this
// package only puts it onto the streams of a process.
package sftpd

import (
	"errors"
	"io"
	"os"

	"github.com/pkg/sftp"
)

// maxPacket is the most data in one packet, in bytes. Clients ask for 32 KiB
// unless they learn of more.
const maxPacket = 256 << 10

// Serve serves until in ends. Relative paths begin at the working directory of
// the process, and what the process may read and write is all that limits a
// client.
func Serve(in io.Reader, out io.WriteCloser) error {
	// An sftp.WithServerWorkingDirectory would also be put before what a relative
	// symbolic link shows.
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
