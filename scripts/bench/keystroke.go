package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// cppKeystroke is the ratio of the C++ programs to ssh, measured when the project began.
const cppKeystroke = 2.0

// keystrokeFigure measures the time from a key to its echo through all four programs and
// through ssh. Blocks of keys take turns, so that other load affects both alike. A local
// pty shows the part without any network.
func keystrokeFigure(ctx context.Context, o options) ([]row, error) {
	m, err := startMatch(ctx, o)
	if err != nil {
		return nil, err
	}
	defer m.end()
	alone := remote{name: "pty alone", argv: func(string) []string { return []string{"/bin/sh", "-i"} }}
	var terminals []*terminal
	for _, r := range append(slices.Clone(m.remotes), alone) {
		t, err := openEcho(ctx, r.argv(""))
		if err != nil {
			return nil, err
		}
		defer t.close()
		terminals = append(terminals, t)
	}
	const blocks, warmup = 10, 10
	for block := range blocks {
		for i := range terminals {
			// In a fixed order, each would always find the caches as the same other
			// left them.
			t := terminals[(i+block)%len(terminals)]
			if err := t.sample(warmup, o.pick(200, 50)); err != nil {
				return nil, err
			}
		}
	}
	const aim = 1.3
	ours, other, bare := terminals[0].took, terminals[len(m.remotes)-1].took, terminals[len(m.remotes)].took
	ratio := float64(median(ours)) / float64(median(other))
	result := m.compare(row{
		what: "keystroke to its echo",
		ours: fmt.Sprintf("%s (a pty alone: %s)", keystrokeText(ours), keystrokeText(bare)),
		aim:  fmt.Sprintf("≤ %.1f (C++, measured elsewhere: %.1f)", aim, cppKeystroke),
	}, keystrokeText(other), ratio, ratio <= aim)
	return []row{result, m.growth.row("keystrokes")}, nil
}

// besideFigure measures the time from a key to its echo while a command of another session
// moves bytes without end through the same broker and agent.
func besideFigure(ctx context.Context, o options) ([]row, error) {
	m, err := startMatch(ctx, o)
	if err != nil {
		return nil, err
	}
	defer m.end()
	terminals := make([]*terminal, len(m.remotes))
	for i, r := range m.remotes {
		if terminals[i], err = openEcho(ctx, r.argv("")); err != nil {
			return nil, err
		}
		defer terminals[i].close()
	}
	var rows []row
	for _, copying := range []struct{ direction, line, in string }{
		{"down", "cat /dev/zero", ""},
		{"up", "cat >/dev/null", "/dev/zero"},
	} {
		for range o.pick(5, 2) {
			for i, r := range m.remotes {
				if err := terminals[i].sampleBeside(ctx, r, copying.line, copying.in, o.pick(400, 100)); err != nil {
					return nil, fmt.Errorf("%s: a copy %s beside: %w", r.name, copying.direction, err)
				}
			}
		}
		const aim = 5 * time.Millisecond
		ours, other := terminals[0].took, terminals[len(terminals)-1].took
		p99 := percentile(ours, 99)
		result := m.compare(row{
			what: "keystroke while another session copies " + copying.direction,
			ours: keystrokeText(ours),
			aim:  "p99 < " + millis(aim),
		}, keystrokeText(other), float64(p99)/float64(percentile(other, 99)), false)
		result.verdict = verdict(p99 < aim)
		rows = append(rows, result)
		for _, t := range terminals {
			t.took = nil
		}
	}
	return append(rows, m.growth.row("keystrokes and copies")), nil
}

// sampleBeside is sample while a command runs on the same device.
func (t *terminal) sampleBeside(ctx context.Context, r remote, line, in string, count int) error {
	cmd := command(ctx, r, line)
	if in != "" {
		f, err := os.Open(in)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stdin = f
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer end(cmd)
	time.Sleep(time.Second) // the start of the command cannot be seen from here; with ssh it takes 0.3 s
	return t.sample(10, count)
}

func keystrokeText(took []time.Duration) string {
	return fmt.Sprintf("median %s, p99 %s", micros(median(took)), micros(percentile(took, 99)))
}
