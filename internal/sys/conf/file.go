package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxSize is far above what anyone writes, and keeps us from reading a device for ever.
const maxSize = 16 << 20

// ReadFile reads a configuration of at most 16 MiB. The error names the file once, and
// wraps fs.ErrNotExist where there is no such file.
func ReadFile(path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// readWait bounds the wait for a pipe: a reload that waited for ever would be the last one.
const readWait = 10 * time.Second

func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe without a writer says nothing
	if err != nil {
		return nil, err
	}
	defer file.Close()
	_ = file.SetReadDeadline(time.Now().Add(readWait)) // other files have none, and need none
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err == nil && len(data) > maxSize {
		return nil, fmt.Errorf("longer than %d bytes", maxSize)
	}
	return data, err
}

// OthersCanRead reports whether every user of the machine can read a file.
func OthersCanRead(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0
}

// Beside returns a file name that a configuration gives: one that is not absolute is
// beside the file of the configuration. "" stays empty.
func Beside(at Place, name string) string {
	if name == "" || filepath.IsAbs(name) || !at.InFile() {
		return name
	}
	return filepath.Join(filepath.Dir(at.File()), name)
}
