package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
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
