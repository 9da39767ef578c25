package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// growthFigure lets a device write without end while nobody reads what shvrsh
// writes, and watches the memory of all four.
func growthFigure(ctx context.Context, o options) ([]row, error) {
	s, err := startStand(ctx, o)
	if err != nil {
		return nil, err
	}
	defer s.close()

	// The command waits for a line: what a session at rest takes is no growth.
	cmd := command(ctx, s.remote, "echo waiting; read go; exec yes")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = out.Close() // shvrsh waits in a write for its reader
		end(cmd)
	}()
	if _, err := io.ReadFull(out, make([]byte, len("waiting\n"))); err != nil {
		return nil, fmt.Errorf("the command did not start: %w: %s", err, bytes.TrimSpace(cmd.Stderr.(*bytes.Buffer).Bytes()))
	}
	helper, err := child(s.agent.pid(), "shvrexec")
	if err != nil {
		return nil, err
	}
	watched := []*memory{
		{name: "shvrsh", pid: cmd.Process.Pid}, {name: "shvbroker", pid: s.broker.pid()},
		{name: "shvrexec", pid: helper}, {name: "shvagent", pid: s.agent.pid()},
	}
	for _, m := range watched {
		if m.atRest, err = residentSize(m.pid); err != nil {
			return nil, err
		}
	}
	if _, err := io.WriteString(in, "go\n"); err != nil {
		return nil, err
	}
	seconds := o.pick(30, 5)
	if err := watch(ctx, watched, time.Duration(seconds)*time.Second); err != nil {
		return nil, err
	}
	const aim = 16 << 20
	worst := 0
	texts := make([]string, len(watched))
	for i, m := range watched {
		worst = max(worst, m.peak-m.atRest)
		texts[i] = fmt.Sprintf("%s %.1f", m.name, mebibytes(m.peak-m.atRest))
	}
	return []row{{
		what:      fmt.Sprintf("growth in MiB, %d s of yes that nobody reads", seconds),
		ours:      strings.Join(texts, ", "),
		reference: "C++, measured elsewhere: over 300",
		aim:       "≤ 16 MiB each",
		verdict:   verdict(worst <= aim),
	}}, nil
}

// memory is the resident size of a process, in bytes.
type memory struct {
	name         string
	pid          int
	atRest, peak int
}

// watch looks at the processes again and again and keeps the most of each.
func watch(ctx context.Context, watched []*memory, long time.Duration) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(long); time.Now().Before(end); {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, m := range watched {
			size, err := residentSize(m.pid)
			if err != nil {
				return fmt.Errorf("%s ended: %w", m.name, err)
			}
			m.peak = max(m.peak, size)
		}
	}
	return nil
}

func mebibytes(n int) float64 { return float64(n) / (1 << 20) }

// residentSize is the memory that a process has, in bytes.
func residentSize(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("process %d is a zombie", pid)
	}
	pages, err := strconv.Atoi(fields[1])
	if err == nil && pages == 0 {
		err = fmt.Errorf("process %d is a zombie", pid)
	}
	return pages * os.Getpagesize(), err
}

// child finds the one child of a process that runs a program.
func child(parent int, name string) (int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			comm, _ := os.ReadFile("/proc/" + field + "/comm")
			if strings.TrimSpace(string(comm)) == name {
				return strconv.Atoi(field)
			}
		}
	}
	return 0, fmt.Errorf("no %s among the children of process %d", name, parent)
}
