package main

import (
	"context"
	"fmt"
)

// cppKeystroke is the C++ programs' ratio to ssh, measured when the project
// began.
const cppKeystroke = 2.0

// keystrokeFigure is the time from a key to its echo, through all four programs
// and through ssh, in blocks that take turns: what else the machine does hits
// both alike. A pty on this machine alone shows how much of it is no network.
func keystrokeFigure(ctx context.Context, o options) ([]row, error) {
	remotes, missing, end, err := startBoth(ctx, o)
	if err != nil {
		return nil, err
	}
	defer end()
	local := remote{"pty alone", func(string) []string { return []string{"/bin/sh", "-i"} }}
	var terminals []*terminal
	for _, r := range append(remotes, local) {
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
			// Whoever comes after the same one always would have its traces in
			// the caches.
			t := terminals[(i+block)%len(terminals)]
			if err := t.sample(warmup, o.pick(200, 50)); err != nil {
				return nil, err
			}
		}
	}
	ours, bare := terminals[0].took, terminals[len(terminals)-1].took
	result := row{
		what: "keystroke to its echo",
		ours: fmt.Sprintf("median %s, p99 %s (a pty alone: %s, %s)", micros(median(ours)), micros(percentile(ours, 99)),
			micros(median(bare)), micros(percentile(bare, 99))),
		reference: missing,
		aim:       "≤ 1.5",
	}
	if missing == "" {
		ssh := terminals[1].took
		ratio := float64(median(ours)) / float64(median(ssh))
		result.reference = fmt.Sprintf("OpenSSH: median %s, p99 %s", micros(median(ssh)), micros(percentile(ssh, 99)))
		result.ratio = fmt.Sprintf("%.2f (C++, measured elsewhere: %.1f)", ratio, cppKeystroke)
		result.verdict = verdict(ratio <= 1.5)
	}
	return []row{result}, nil
}
