package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// loadCommand makes this program a load generator in a process of its own. It reads orders
// from stdin, one JSON value per line, answers each on stdout, and ends with its stdin. Go
// raises its limit of descriptors to the highest allowed.
const loadCommand = "load"

// order is a command for a generator.
type order struct {
	Do       string // a case of obey
	Address  string
	Relay    bool // Address is a relay of pairs, not a broker
	Callers  int
	InFlight int
	Clients  int
	For      time.Duration // of calls
}

// outcome is the result of an order.
type outcome struct {
	Failed string
	Count  int           // calls
	Rate   float64       // calls per second
	Median time.Duration // of calls
	P99    time.Duration
	Took   time.Duration // signal, return
}

// generator is the state that the orders so far have made.
type generator struct {
	calls *callLoad
	fleet *fleet
	crowd *crowd
	stuck *loadConn
}

// serveLoad is the main function of a generator's process.
func serveLoad(in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g := new(generator)
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o order
		switch err := orders.Decode(&o); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		result, err := g.obey(ctx, o)
		if err != nil {
			result.Failed = err.Error()
		}
		if err := answers.Encode(result); err != nil {
			return err
		}
	}
}

func (g *generator) obey(ctx context.Context, o order) (result outcome, err error) {
	switch o.Do {
	case "fleet":
		g.fleet, err = startFleet(ctx, o)
	case "return":
		start := time.Now()
		ctx, cancel := context.WithTimeout(ctx, o.For)
		defer cancel()
		err = g.fleet.awaitAll(ctx)
		result.Took = time.Since(start)
	case "callers":
		g.calls, err = openCalls(ctx, o)
	case "calls":
		result, err = g.calls.run(o.For)
	case "flood":
		g.calls.flood(ctx)
	case "stuck":
		g.stuck, err = addStuck(ctx, o)
	case "unstuck":
		err = g.stuck.Close()
	case "crowd":
		g.crowd, err = openCrowd(ctx, o)
	case "signal":
		ctx, cancel := context.WithTimeout(ctx, startDeadline)
		defer cancel()
		result.Took, err = g.crowd.signal(ctx)
	default:
		err = fmt.Errorf("unknown order %q", o.Do)
	}
	return result, err
}

// load is a generator, seen from a figure.
type load struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	orders *json.Encoder
	out    *json.Decoder
}

// startLoad starts a generator. It ends with ctx at the latest.
func startLoad(ctx context.Context) (*load, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := local(ctx, environ(), self, loadCommand)
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
	return &load{cmd: cmd, in: in, orders: json.NewEncoder(in), out: json.NewDecoder(bufio.NewReader(out))}, nil
}

// do sends an order and returns its outcome.
func (l *load) do(o order) (result outcome, err error) {
	if err := l.send(o); err != nil {
		return result, err
	}
	return l.answer()
}

func (l *load) send(o order) error { return l.orders.Encode(o) }

func (l *load) answer() (result outcome, err error) {
	if err := l.out.Decode(&result); err != nil {
		l.close() // after that its stderr is complete
		return result, fmt.Errorf("load generator: %w: %s", err, bytes.TrimSpace(l.cmd.Stderr.(*bytes.Buffer).Bytes()))
	}
	if result.Failed != "" {
		return result, errors.New("load generator: " + result.Failed)
	}
	return result, nil
}

func (l *load) close() {
	_ = l.in.Close()
	end(l.cmd)
}

// startPairs runs a relay of pairs in a process of its own.
func startPairs(ctx context.Context, o options) (*program, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	ready := filepath.Join(o.temp, "pairs.ready")
	_ = os.Remove(ready)
	p, err := startProgram(o.temp, "pairs", self, pairsCommand, ready)
	if err != nil {
		return nil, "", err
	}
	address, err := p.awaitReady(ctx, ready)
	return p, address, err
}
