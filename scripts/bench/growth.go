package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	g, err := watchGrowth(ctx, s.remote)
	if err != nil {
		return nil, err
	}
	cmd, out, err := startWaiting(ctx, s.remote, "exec yes")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = out.Close() // shvrsh waits in a write for its reader
		end(cmd)
	}()
	seconds := o.pick(30, 5)
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	result := g.row(fmt.Sprintf("%d s of yes that nobody reads", seconds))
	result.reference = "C++, measured elsewhere: over 300"
	return []row{result}, nil
}

// startWaiting starts a command that says that it is there, and goes on with
// line once that was read.
func startWaiting(ctx context.Context, r remote, line string) (*exec.Cmd, io.ReadCloser, error) {
	cmd := command(ctx, r, "echo waiting; read go; "+line)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	_, err = io.ReadFull(out, make([]byte, len("waiting\n")))
	if err == nil {
		_, err = io.WriteString(in, "go\n")
	}
	if err != nil {
		_ = out.Close()
		end(cmd)
		return nil, nil, fmt.Errorf("the command did not start: %w: %s", err, bytes.TrimSpace(cmd.Stderr.(*bytes.Buffer).Bytes()))
	}
	return cmd, out, nil
}

// growth is how much more memory our programs took than at rest, which is with
// one session in which nothing happens. All that we started counts, of each
// program the process that took the most.
type growth struct {
	rest, peak map[string]int // bytes
	stop       chan struct{}
	stopped    chan struct{}
}

// watched are the programs, as the kernel names their processes.
var watched = []string{"shvrsh", "shvbroker", "shvrexec", "shvagent"}

// growthInterval is how often we look. The kernel keeps the most that a process
// ever had, so it matters only for the short-lived.
const growthInterval = 100 * time.Millisecond

// watchGrowth notes what is taken at rest and watches from then on, until a row
// is asked for or ctx ends.
func watchGrowth(ctx context.Context, r remote) (*growth, error) {
	g := &growth{rest: make(map[string]int), peak: make(map[string]int), stop: make(chan struct{}), stopped: make(chan struct{})}
	const rest = 300 * time.Millisecond
	cmd := command(ctx, r, fmt.Sprintf("sleep %g", 2*rest.Seconds()))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(rest)
	note(g.rest, "VmRSS")
	if err := wait(cmd); err != nil {
		return nil, err
	}
	for _, name := range watched {
		if g.rest[name] == 0 {
			return nil, errors.New("no " + name + " was found at rest")
		}
	}
	go func() {
		defer close(g.stopped)
		ticker := time.NewTicker(growthInterval)
		defer ticker.Stop()
		for {
			note(g.peak, "VmHWM")
			select {
			case <-ticker.C:
			case <-g.stop:
				note(g.peak, "VmHWM")
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return g, nil
}

// row ends the watch. It is asked for once, before the programs end.
func (g *growth) row(during string) row {
	close(g.stop)
	<-g.stopped
	const aim = 16 << 20
	worst := 0
	texts := make([]string, len(watched))
	for i, name := range watched {
		grown := max(0, g.peak[name]-g.rest[name])
		worst = max(worst, grown)
		texts[i] = fmt.Sprintf("%s %.1f", name, float64(grown)/(1<<20))
	}
	return row{
		what:    "growth in MiB, " + during,
		ours:    strings.Join(texts, ", "),
		aim:     "≤ 16 MiB each",
		verdict: verdict(worst <= aim),
	}
}

// note keeps the most that a watched process below us has of a kind of memory.
func note(most map[string]int, kind string) {
	for _, pid := range descendants(os.Getpid()) {
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if name := strings.TrimSpace(string(comm)); slices.Contains(watched, name) {
			most[name] = max(most[name], memory(pid, kind))
		}
	}
}

// memory is a size from a process's status in bytes, 0 if it has ended.
func memory(pid int, kind string) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, kind+":"); found {
			kilobytes, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return kilobytes << 10
		}
	}
	return 0
}

// descendants are the processes below one.
func descendants(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}
