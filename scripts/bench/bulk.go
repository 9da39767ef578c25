package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// bulkSize is what goes through a command, in bytes.
const bulkSize = 200e6

// bulkFigure is how fast a command's output comes and its input goes. The time
// is that of the data alone: what the start of a command costs is a figure of
// its own.
func bulkFigure(ctx context.Context, o options) ([]row, error) {
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
	file, err := bulkFile(dir)
	if err != nil {
		return nil, err
	}

	var rows []row
	for _, direction := range []struct {
		what string
		once func(context.Context, remote, string) (time.Duration, error)
	}{
		{"200 MB down through a command", bulkDown},
		{"200 MB up through a command", bulkUp},
	} {
		rates := make([][]float64, len(m.remotes))
		var ratios []float64 // within a round: the machine changes from round to round
		for round := range o.pick(9, 3) {
			for i, r := range m.remotes {
				took, err := direction.once(ctx, r, file)
				if err != nil {
					return rows, fmt.Errorf("%s: %s: %w", r.name, direction.what, err)
				}
				rates[i] = append(rates[i], rate(bulkSize, took))
			}
			ratios = append(ratios, rates[0][round]/rates[len(rates)-1][round])
		}
		const aim = 2.5
		rows = append(rows, m.compare(row{
			what: direction.what,
			ours: bulkText(rates[0]),
			aim:  fmt.Sprintf("≥ %.1f", aim),
		}, bulkText(rates[len(rates)-1]), median(ratios), median(ratios) >= aim))
	}
	return append(rows, m.growth.row("200 MB down and up")), nil
}

func bulkText(rates []float64) string { return fmt.Sprintf("%.0f MB/s", median(rates)) }

// memoryDir makes a directory, in memory where that is possible: the figures are
// about no disk.
func memoryDir() (string, error) {
	dir := "/dev/shm"
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = ""
	}
	return os.MkdirTemp(dir, "shvbench.")
}

// bulkFile makes the data.
func bulkFile(dir string) (name string, err error) {
	f, err := os.Create(filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	block := make([]byte, 1e6)
	for i := range block {
		block[i] = byte(i * i)
	}
	for range int(bulkSize) / len(block) {
		if _, err := f.Write(block); err != nil {
			return "", err
		}
	}
	return f.Name(), nil
}

// bulkDown reads the file through a command, from its first byte to its end.
func bulkDown(ctx context.Context, r remote, file string) (took time.Duration, err error) {
	cmd := command(ctx, r, "cat "+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	var start time.Time
	buf := make([]byte, sinkSize)
	came := 0
	for {
		n, err := out.Read(buf)
		if came == 0 {
			start = time.Now()
		}
		if came += n; n > 0 && came == bulkSize {
			took = time.Since(start) // what follows is the end of the command
		}
		if err != nil {
			break // the end, or wait tells what it was
		}
	}
	if err := wait(cmd); err != nil {
		return 0, err
	}
	if came != bulkSize {
		return 0, fmt.Errorf("%d bytes came", came)
	}
	return took, nil
}

// bulkUp has a command read the file, from its start, at which it prints one
// byte, to its end, at which it prints another. What is sent ahead before the
// first one is here is no more than the windows.
func bulkUp(ctx context.Context, r remote, file string) (took time.Duration, err error) {
	cmd := command(ctx, r, "printf a; cat >/dev/null; printf b")
	in, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	marks := make([]byte, 2)
	_, firstErr := io.ReadFull(out, marks[:1])
	start := time.Now()
	_, secondErr := io.ReadFull(out, marks[1:])
	took = time.Since(start)
	if err := wait(cmd); err != nil {
		return 0, err
	}
	return took, errors.Join(firstErr, secondErr)
}
