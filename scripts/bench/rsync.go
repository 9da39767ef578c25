package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// rsync copies rsyncFiles small files, of at most rsyncSize bytes each.
const (
	rsyncFiles = 1000
	rsyncSize  = 4000
)

// rsyncFigure measures how long rsync takes to copy small files to an empty directory.
func rsyncFigure(ctx context.Context, o options) ([]row, error) {
	if _, err := exec.LookPath("rsync"); err != nil {
		return []row{{what: "rsync of small files", ours: "no rsync here (apt-get install rsync)"}}, nil
	}
	m, err := startMatch(ctx, o)
	if err != nil {
		return nil, err
	}
	defer m.end()
	dir, err := memoryDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	from, to := filepath.Join(dir, "from")+"/", filepath.Join(dir, "to")+"/"
	if err := smallFiles(from); err != nil {
		return nil, err
	}
	var rows []row
	for _, direction := range []struct {
		name     string
		from, to func(r remote) string
	}{
		{"down", func(r remote) string { return r.host + ":" + from }, func(remote) string { return to }},
		{"up", func(remote) string { return from }, func(r remote) string { return r.host + ":" + to }},
	} {
		took := make([][]time.Duration, len(m.remotes))
		var ratios []float64
		for round := range o.pick(9, 3) {
			for i, r := range m.remotes {
				cmd := local(ctx, append(environ(), r.env...), "rsync", "-a", "-e", r.rsh, direction.from(r), direction.to(r))
				start := time.Now()
				if err := finish(cmd); err != nil {
					return nil, fmt.Errorf("%s: rsync %s: %w", r.name, direction.name, err)
				}
				took[i] = append(took[i], time.Since(start))
				if came, err := os.ReadDir(to); err != nil || len(came) != rsyncFiles {
					return nil, errors.Join(fmt.Errorf("%s: rsync %s: %d files came", r.name, direction.name, len(came)), err)
				}
				if err := os.RemoveAll(to); err != nil {
					return nil, err
				}
			}
			ratios = append(ratios, float64(took[0][round])/float64(took[len(took)-1][round]))
		}
		rows = append(rows, m.compare(row{
			what: fmt.Sprintf("rsync of %d small files %s", rsyncFiles, direction.name),
			ours: "median " + millis(median(took[0])),
			aim:  "≤ 1.0",
		}, "median "+millis(median(took[len(took)-1])), median(ratios), median(ratios) <= 1))
	}
	return append(rows, m.growth.row("rsync")), nil
}

func smallFiles(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	data := make([]byte, rsyncSize)
	_, _ = rand.Read(data) // it never fails
	for i := range rsyncFiles {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), data[:i*rsyncSize/rsyncFiles], 0o644); err != nil {
			return err
		}
	}
	return nil
}
