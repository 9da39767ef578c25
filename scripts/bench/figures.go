package main

import (
	"context"
	"strings"
	"time"
)

// options are what the figures are told.
type options struct {
	bin   string // directory of the programs
	temp  string // directory for whatever, removed at the end
	quick bool
}

// pick gives the amount of work for a full or a quick run.
func (o options) pick(full, quick int) int {
	if o.quick {
		return quick
	}
	return full
}

// figure is one measurement. It starts what it needs and ends it.
type figure struct {
	name  string
	limit time.Duration
	take  func(ctx context.Context, o options) ([]row, error)
}

var figures = []figure{
	{"codec", time.Minute, codecFigure},
	{"forward", 2 * time.Minute, forwardFigure},
	{"frames", 2 * time.Minute, framesFigure},
	{"keystroke", 2 * time.Minute, keystrokeFigure},
	{"command", 3 * time.Minute, commandFigure},
	{"bulk", 3 * time.Minute, bulkFigure},
	{"growth", 2 * time.Minute, growthFigure},
}

func figureNames() string {
	names := make([]string, len(figures))
	for i, f := range figures {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}
