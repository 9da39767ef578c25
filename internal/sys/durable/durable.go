// Package durable replaces files so that a crash at any moment leaves the old one or the
// new one, whole. It locks nothing: a file has one writer at a time.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace makes data the content of the file at path, with mode whatever the umask is. When
// it returns nil, the file and its name are on disk; with an error the old file is as it was,
// unless only its directory could not be synced. It writes path+".new" first, where it
// overwrites what a crash left.
func Replace(path string, data []byte, mode fs.FileMode) (err error) {
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes what happened to the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
