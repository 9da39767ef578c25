package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// commandFigure is how long the shortest command takes from start to end.
func commandFigure(ctx context.Context, o options) ([]row, error) {
	remotes, missing, end, err := startBoth(ctx, o)
	if err != nil {
		return nil, err
	}
	defer end()
	took := make([][]time.Duration, len(remotes))
	for range o.pick(50, 10) {
		for i, r := range remotes {
			start := time.Now()
			if err := finish(command(ctx, r, "true")); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	const aim = 60 * time.Millisecond
	result := row{
		what:      "the command true, from start to end",
		ours:      commandText(took[0]),
		reference: missing,
		aim:       "median < 60 ms",
		verdict:   verdict(median(took[0]) < aim),
	}
	if missing == "" {
		result.reference = "OpenSSH: " + commandText(took[1])
		result.ratio = fmt.Sprintf("%.2f", float64(median(took[0]))/float64(median(took[1])))
	}
	return []row{result}, nil
}

func commandText(took []time.Duration) string {
	return fmt.Sprintf("median %s, p90 %s", millis(median(took)), millis(percentile(took, 90)))
}

// command is a remote command that is not started yet, with an empty stdin. It
// ends with ctx.
func command(ctx context.Context, r remote, line string) *exec.Cmd {
	argv := r.argv(line)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = environ()
	cmd.Stderr = new(bytes.Buffer)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endDeadline
	// A Ctrl-C is for us; we end the command.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// finish runs a command to its end; the error has what it wrote to stderr.
func finish(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	return wait(cmd)
}

// end ends a command that was started, if it must with KILL.
func end(cmd *exec.Cmd) {
	_ = cmd.Cancel()
	kill := time.AfterFunc(endDeadline, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
}

func wait(cmd *exec.Cmd) error {
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(cmd.Stderr.(*bytes.Buffer).Bytes()))
	}
	return nil
}
