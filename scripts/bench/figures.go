package main

import (
	"context"
	"strings"
	"time"
)

// options are the settings of all figures.
type options struct {
	bin   string // directory of the programs
	temp  string // directory for files of a run, removed at its end
	quick bool
}

// pick returns the amount of work for a full or a quick run.
func (o options) pick(full, quick int) int {
	if o.quick {
		return quick
	}
	return full
}

// group is a section of the report. It is measured as a whole.
type group struct {
	name    string
	heading string
}

var (
	ofBroker = group{"broker", "Messages through the broker"}
	ofSSH    = group{"ssh", "Shells and commands, beside OpenSSH"}

	ofLoad = group{"load", "Many clients and many calls"}

	ofTree = group{"tree", "Shells over a connection between two brokers"}

	groups = []group{ofBroker, ofLoad, ofSSH, ofTree}
)

// figure is one measurement. It starts and ends all programs that it needs.
type figure struct {
	group group
	name  string
	limit time.Duration
	take  func(ctx context.Context, o options) ([]row, error)
}

var figures = []figure{
	{ofBroker, "codec", time.Minute, codecFigure},
	{ofBroker, "forward", 2 * time.Minute, forwardFigure},
	{ofBroker, "frames", 2 * time.Minute, framesFigure},
	{ofLoad, "calls", 3 * time.Minute, callsFigure},
	{ofLoad, "latency", 2 * time.Minute, latencyFigure},
	{ofLoad, "stuck", 3 * time.Minute, stuckFigure},
	{ofLoad, "signal", 2 * time.Minute, signalFigure},
	{ofLoad, "idle", 5 * time.Minute, idleFigure},
	{ofLoad, "back", 5 * time.Minute, backFigure},
	{ofSSH, "keystroke", 2 * time.Minute, keystrokeFigure},
	{ofSSH, "beside", 4 * time.Minute, besideFigure},
	{ofSSH, "command", 3 * time.Minute, commandFigure},
	{ofSSH, "bulk", 3 * time.Minute, bulkFigure},
	{ofSSH, "rsync", 3 * time.Minute, rsyncFigure},
	{ofSSH, "growth", 2 * time.Minute, growthFigure},
	{ofTree, "shared", 4 * time.Minute, sharedFigure},
}

func groupNames() string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.name
	}
	return strings.Join(names, ", ")
}

func figureNames() string {
	names := make([]string, len(figures))
	for i, f := range figures {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}
