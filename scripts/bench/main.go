// Bench measures the programs in bin/. It prints each figure beside its aim and beside a
// reference that was measured in the same run. Run it with `make bench` or `make
// bench-ssh`, which build first.
//
// A missed aim is not a failure, because machines and their load differ. The exit code is
// 1 if a figure could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// defaultOutput is the file of a full run of whole groups without another file. A part of
// the figures, or quick ones, must not replace good figures.
const defaultOutput = "docs/bench.md"

func main() {
	if helped, err := help(os.Args[1:]); helped {
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	only := flag.String("group", "", "take only the figures of group `NAME`: "+groupNames())
	choice := flag.String("run", "", "take only the figures whose names match `REGEX`: "+figureNames())
	quick := flag.Bool("quick", false, "short forms, for a first look")
	output := flag.String("o", "", "write the figures to `FILE`; without it, a full run writes "+defaultOutput)
	bin := flag.String("bin", "bin", "measure the programs in `DIR`")
	flag.Parse()
	names, err := regexp.Compile(*choice)
	known := slices.ContainsFunc(groups, func(g group) bool { return g.name == *only })
	if err != nil || flag.NArg() > 0 || *only != "" && !known {
		fmt.Fprintln(os.Stderr, "bench: usage: bench [-group NAME] [-run REGEX] [-quick] [-bin DIR] [-o FILE]", err)
		os.Exit(2)
	}
	if *output == "" && *choice == "" && !*quick {
		*output = defaultOutput
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	chosen := func(f figure) bool { return (*only == "" || f.group.name == *only) && names.MatchString(f.name) }
	err = run(ctx, chosen, options{bin: *bin, quick: *quick}, *output)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// help runs this program as a helper of itself, in a process of its own.
func help(args []string) (helped bool, err error) {
	switch {
	case len(args) == 2 && args[0] == relayCommand:
		return true, serveRelay(args[1], relay)
	case len(args) == 2 && args[0] == pairsCommand:
		return true, serveRelay(args[1], relayPairs)
	case len(args) == 1 && args[0] == loadCommand:
		return true, serveLoad(os.Stdin, os.Stdout)
	}
	return false, nil
}

// run measures one figure after the other, because each needs the whole machine.
func run(ctx context.Context, chosen func(figure) bool, o options, output string) (err error) {
	o.temp, err = os.MkdirTemp("", "shvbench.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(o.temp)
	report := newReport(ctx, o.quick)
	fmt.Print(report.heading())
	failed := 0
	for _, f := range figures {
		if !chosen(f) {
			continue
		}
		rows, err := f.takeWithin(ctx, o)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			failed++
			rows = append(rows, row{what: f.name, ours: "failed: " + err.Error()})
		}
		for _, r := range rows {
			fmt.Println(r.text())
			report.rows[f.group] = append(report.rows[f.group], r)
		}
	}
	switch {
	case len(report.rows) == 0:
		return fmt.Errorf("no figure is called that; there are %s", figureNames())
	case failed > 0:
		return fmt.Errorf("%d figures could not be taken; nothing is written", failed)
	case output == "":
		return nil
	}
	return report.write(output)
}

// takeWithin measures a figure, which fails at its deadline, so that the run goes on if
// something hangs.
func (f figure) takeWithin(ctx context.Context, o options) ([]row, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.limit, fmt.Errorf("not done within %v", f.limit))
	defer cancel()
	start := time.Now()
	rows, err := f.take(ctx, o)
	if ctx.Err() != nil && err != nil {
		err = fmt.Errorf("%w (%w after %v)", err, context.Cause(ctx), time.Since(start).Round(time.Second))
	}
	return rows, err
}
