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

// growthFigure measures the memory of all four programs while a device writes without end
// and the output of shvrsh is not read.
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
		_ = out.Close() // shvrsh is blocked in a write
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

// startWaiting starts a command, waits until it runs, and makes it go on with line.
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
		text := bytes.TrimSpace(cmd.Stderr.(*bytes.Buffer).Bytes())
		return nil, nil, fmt.Errorf("the command did not start: %w: %s", err, text)
	}
	return cmd, out, nil
}

// growth measures how much more memory our programs use than at rest, which is with one
// idle session. Of the processes of a program, the largest counts.
type growth struct {
	rest, peak map[string]int // bytes
	stop       chan struct{}
	stopped    chan struct{}
}

// watched are the programs, by the names of their processes.
var watched = []string{"shvrsh", "shvbroker", "shvrexec", "shvagent"}

// growthInterval is how often memory is read. The kernel keeps the peak of each process,
// so the interval matters only for short-lived ones.
const growthInterval = 100 * time.Millisecond

// watchGrowth records the memory at rest and watches it until row is called or ctx ends.
func watchGrowth(ctx context.Context, r remote) (*growth, error) {
	g := &growth{
		rest: make(map[string]int), peak: make(map[string]int),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	const rest = 300 * time.Millisecond
	cmd := command(ctx, r, fmt.Sprintf("sleep %g", 2*rest.Seconds()))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	time.Sleep(rest) // the pause is the state to be measured: a session at rest
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

// row ends the watch. It must be called once, before the programs end.
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

// note updates the maxima of a kind of memory of the watched processes below bench.
func note(most map[string]int, kind string) {
	for _, pid := range descendants(os.Getpid()) {
		comm, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if name := strings.TrimSpace(string(comm)); slices.Contains(watched, name) {
			most[name] = max(most[name], memory(pid, kind))
		}
	}
}

// memory returns a size from the status of a process in bytes; 0 if it has ended.
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

// descendants returns the processes below a process.
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
