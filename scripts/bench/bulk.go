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

// bulkSize is how many bytes go through a command.
const bulkSize = 200e6

// bulkTime is how long bulkSize took: the whole time from the start of the program to its
// end, and the part of it in which data moved.
type bulkTime struct{ whole, data time.Duration }

// bulkFigure measures the throughput of a command's output and input as the user sees it,
// so the time to connect counts. The throughput of the data alone is shown beside it.
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
		once func(context.Context, remote, string) (bulkTime, error)
	}{
		{"200 MB down through a command", bulkDown},
		{"200 MB up through a command", bulkUp},
	} {
		whole, data := make([][]float64, len(m.remotes)), make([][]float64, len(m.remotes))
		var ratios []float64 // within one round, because the machine changes from round to round
		for round := range o.pick(9, 3) {
			for i, r := range m.remotes {
				took, err := direction.once(ctx, r, file)
				if err != nil {
					return rows, fmt.Errorf("%s: %s: %w", r.name, direction.what, err)
				}
				whole[i] = append(whole[i], rate(bulkSize, took.whole))
				data[i] = append(data[i], rate(bulkSize, took.data))
			}
			ratios = append(ratios, whole[0][round]/whole[len(whole)-1][round])
		}
		const aim = 2.5
		rows = append(rows, m.compare(row{
			what: direction.what,
			ours: bulkText(whole[0], data[0]),
			aim:  fmt.Sprintf("≥ %.1f", aim),
		}, bulkText(whole[len(whole)-1], data[len(data)-1]), median(ratios), median(ratios) >= aim))
	}
	return append(rows, m.growth.row("200 MB down and up")), nil
}

func bulkText(whole, data []float64) string {
	return fmt.Sprintf("%.0f MB/s (the data alone: %.0f)", median(whole), median(data))
}

// memoryDir makes a directory, in memory if possible, because the figures must not depend
// on a disk.
func memoryDir() (string, error) {
	dir := "/dev/shm"
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = ""
	}
	return os.MkdirTemp(dir, "shvbench.")
}

// bulkFile writes a file with the data.
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

// bulkDown reads the file through a command.
func bulkDown(ctx context.Context, r remote, file string) (took bulkTime, err error) {
	cmd := command(ctx, r, "cat "+file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return took, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return took, err
	}
	var first time.Time
	buf := make([]byte, sinkSize)
	came := 0
	for {
		n, err := out.Read(buf)
		if came == 0 {
			first = time.Now()
		}
		if came += n; n > 0 && came == bulkSize {
			took.data = time.Since(first) // the rest is the end of the command
		}
		if err != nil {
			break // the end, or a fault that wait reports
		}
	}
	if err := wait(cmd); err != nil {
		return took, err
	}
	took.whole = time.Since(began)
	if came != bulkSize {
		return took, fmt.Errorf("%d bytes came", came)
	}
	return took, nil
}

// bulkUp makes a command read the file. The command prints a byte before it reads and one
// after the end. At most the windows are sent before the first byte arrives.
func bulkUp(ctx context.Context, r remote, file string) (took bulkTime, err error) {
	cmd := command(ctx, r, "printf a; cat >/dev/null; printf b")
	in, err := os.Open(file)
	if err != nil {
		return took, err
	}
	defer in.Close()
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		return took, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return took, err
	}
	marks := make([]byte, 2)
	_, firstErr := io.ReadFull(out, marks[:1])
	first := time.Now()
	_, secondErr := io.ReadFull(out, marks[1:])
	took.data = time.Since(first)
	if err := wait(cmd); err != nil {
		return took, err
	}
	took.whole = time.Since(began)
	return took, errors.Join(firstErr, secondErr)
}
