package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// commandFigure measures how long the shortest command takes from start to end.
func commandFigure(ctx context.Context, o options) ([]row, error) {
	m, err := startMatch(ctx, o)
	if err != nil {
		return nil, err
	}
	defer m.end()
	took := make([][]time.Duration, len(m.remotes))
	for range o.pick(50, 10) {
		for i, r := range m.remotes {
			start := time.Now()
			if err := finish(command(ctx, r, "true")); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			took[i] = append(took[i], time.Since(start))
		}
	}
	const aim = 0.15
	other := took[len(took)-1]
	ratio := float64(median(took[0])) / float64(median(other))
	result := m.compare(row{
		what: "the command true, from start to end",
		ours: commandText(took[0]),
		aim:  fmt.Sprintf("≤ %.2f", aim),
	}, commandText(other), ratio, ratio <= aim)
	return []row{result, m.growth.row("commands")}, nil
}

func commandText(took []time.Duration) string {
	return fmt.Sprintf("median %s, p90 %s", millis(median(took)), millis(percentile(took, 90)))
}

// command returns a remote command with an empty stdin, not started. It ends with ctx.
func command(ctx context.Context, r remote, line string) *exec.Cmd {
	return local(ctx, environ(), r.argv(line)...)
}

// local returns a local program, not started. It ends with ctx.
func local(ctx context.Context, env []string, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Stderr = new(bytes.Buffer)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endDeadline
	// A Ctrl-C must reach bench alone, which ends the command.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// finish runs a command to its end. The error contains its stderr.
func finish(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	return wait(cmd)
}

// end ends a started command, with SIGKILL if necessary.
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
