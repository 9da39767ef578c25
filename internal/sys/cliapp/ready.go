package cliapp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// WriteReadyFile writes lines to the file that `--ready-file` names. The file appears
// at once, so that nobody reads a part of it.
func WriteReadyFile(path string, lines []string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("ready file %s: %w", path, withoutPath(err))
		}
	}()
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line + "\n")
	}
	_, err = temp.WriteString(text.String())
	if err == nil {
		// It holds no secret, and its reader may be another user.
		err = temp.Chmod(0o644)
	}
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
