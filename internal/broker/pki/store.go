package pki

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"shvtools/internal/sys/durable"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dirMode    fs.FileMode = 0o700
	openMode   fs.FileMode = 0o644
	secretMode fs.FileMode = 0o600
)

// lockWait is how long Open waits for another program; lockLook is how often it tries.
const (
	lockWait = 10 * time.Second
	lockLook = 20 * time.Millisecond
)

// lock locks a directory for this program.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-time.After(lockLook):
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("%s: another program uses the authority; try again when it has ended: %w", dir, err)
		}
	}
}

// file is one that is handed to somebody. keep leaves one alone that exists: it may have
// been changed by hand.
type file struct {
	name string
	data []byte
	mode fs.FileMode
	keep bool
}

// handOver puts files into a directory. A new directory appears with all of them or not at
// all; in one that exists, each file is the old or the new one at any moment.
func handOver(dir string, files []file) error {
	if exists(dir) {
		for _, f := range files {
			path := filepath.Join(dir, f.name)
			if f.keep && exists(path) {
				continue
			}
			if err := durable.Replace(path, f.data, f.mode); err != nil {
				return err
			}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if err := os.Mkdir(parent, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return build(dir, func(temporary string) error { return writeAll(temporary, files) })
}

// build makes a directory with what fill puts there. dir must not exist, or be empty. A
// build that is cut off leaves a directory beside it whose name says so.
func build(dir string, fill func(temporary string) error) (err error) {
	parent := filepath.Dir(dir)
	temporary, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+".incomplete-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temporary)
		}
	}()
	if err := fill(temporary); err != nil {
		return err
	}
	// os.Rename refuses a directory that exists; rename(2) replaces an empty one.
	if err := unix.Rename(temporary, dir); err != nil {
		return &os.LinkError{Op: "rename", Old: temporary, New: dir, Err: err}
	}
	return durable.SyncDir(parent)
}

// writeAll writes files into a directory, which is durable then.
func writeAll(dir string, files []file) error {
	for _, f := range files {
		if err := durable.Replace(filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	return durable.SyncDir(dir)
}

// exists reports whether there is something at a path, or that cannot be told.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
