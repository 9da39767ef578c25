package transport

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Errors of files that are not whole. A file in PEM form shows a cut within a block, and by its
// last line, which must have an end, one behind a block.
var (
	errEmptyPEM = errors.New("is empty; it may have been cut off")
	errCutPEM   = errors.New("was cut off or is damaged: a block -----BEGIN has no matching -----END")
	errNoEnd    = errors.New("seems to be cut off: its last line has no end (want a newline there)")
)

// pemReader reads files in PEM form. It may be nil.
type pemReader struct {
	unended []error // an OptionError for each file whose last line has no end
}

// read reads a file that an option names, and returns all blocks of it. what is for errors.
func (r *pemReader) read(option, what, file string) (data []byte, blocks []*pem.Block, err error) {
	data, err = readBounded(file)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", what, err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil, fmt.Errorf("%s %s %w", what, file, errEmptyPEM)
	}
	rest := data
	for {
		block, behind := pem.Decode(rest)
		if block == nil {
			break
		}
		blocks, rest = append(blocks, block), behind
	}
	last := rest[bytes.LastIndexByte(rest, '\n')+1:]
	if bytes.HasPrefix(last, []byte("-")) || bytes.Count(data, []byte("-----BEGIN ")) != len(blocks) {
		return nil, nil, fmt.Errorf("%s %s %w", what, file, errCutPEM)
	}
	if r != nil && data[len(data)-1] != '\n' {
		r.unended = append(r.unended, ofOption(option, fmt.Errorf("%s %s %w", what, file, errNoEnd)))
	}
	return data, blocks, nil
}

// Bounds of a file: a reload that waited for a pipe for ever, or read a device, would be the last one.
const (
	maxFile  = 16 << 20
	readWait = 10 * time.Second
)

// readBounded reads a file. A pipe without a writer is empty.
func readBounded(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	_ = file.SetReadDeadline(time.Now().Add(readWait)) // other files have none, and need none
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return data, err
}
