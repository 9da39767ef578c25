package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Results of the C++ broker in a similar set-up, measured when the project began.
const (
	cppCalls   = "C++, measured elsewhere: 38000 calls/s, p99 4.2 ms"
	cppLatency = "C++, measured elsewhere: 294 µs"
	cppIdle    = "C++, measured elsewhere: 11.8 KiB"
)

// callRoute is a generator whose callers use a broker or a relay.
type callRoute struct {
	*load
	rates  []float64
	median []time.Duration
	p99    []time.Duration
}

func openRoute(ctx context.Context, o order) (*callRoute, error) {
	l, err := startLoad(ctx)
	if err != nil {
		return nil, err
	}
	o.Do = "callers"
	if _, err := l.do(o); err != nil {
		l.close()
		return nil, err
	}
	return &callRoute{load: l}, nil
}

// round calls for a time and records the results.
func (r *callRoute) round(d time.Duration) error {
	result, err := r.do(order{Do: "calls", For: d})
	if err != nil {
		return err
	}
	r.rates = append(r.rates, result.Rate)
	r.median = append(r.median, result.Median)
	r.p99 = append(r.p99, result.P99)
	return nil
}

// text is what the rounds show of calls and their times.
func (r *callRoute) text() string {
	return fmt.Sprintf("%.0f calls/s, median %s, p99 %s",
		median(r.rates), micros(median(r.median)), micros(median(r.p99)))
}

// takeTurns calls through the broker and through a relay in turns. The first turn of each
// only warms up.
func takeTurns(ctx context.Context, o options, callers, inFlight, rounds int) (ours, plain *callRoute, err error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer b.stop()
	relay, address, err := startPairs(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	defer relay.stop()
	if ours, err = openRoute(ctx, order{Address: b.address(), Callers: callers, InFlight: inFlight}); err != nil {
		return nil, nil, err
	}
	defer ours.close()
	plain, err = openRoute(ctx, order{Address: address, Relay: true, Callers: callers, InFlight: inFlight})
	if err != nil {
		return nil, nil, err
	}
	defer plain.close()
	for round := range rounds + 1 {
		for _, r := range []*callRoute{ours, plain} {
			if err := r.round(time.Second); err != nil {
				return nil, nil, err
			}
			if round == 0 {
				r.rates, r.median, r.p99 = nil, nil, nil
			}
		}
	}
	return ours, plain, nil
}

// callsFigure measures how many calls the broker carries to one device and back.
func callsFigure(ctx context.Context, o options) ([]row, error) {
	ours, plain, err := takeTurns(ctx, o, 4, 16, o.pick(15, 5))
	if err != nil {
		return nil, err
	}
	const aim = 120_000
	rate, other := median(ours.rates), median(plain.rates)
	return []row{{
		what:      "4 callers, 16 calls in flight each",
		ours:      ours.text(),
		reference: fmt.Sprintf("plain relay, a device for each: %s; %s", plain.text(), cppCalls),
		ratio:     fmt.Sprintf("%.2f", rate/other),
		aim:       fmt.Sprintf("≥ %d calls/s", aim),
		verdict:   verdict(rate >= aim),
	}}, nil
}

// latencyFigure measures how long a single call takes.
func latencyFigure(ctx context.Context, o options) ([]row, error) {
	ours, plain, err := takeTurns(ctx, o, 1, 1, o.pick(11, 5))
	if err != nil {
		return nil, err
	}
	const aim = 180 * time.Microsecond
	took, other := median(ours.median), median(plain.median)
	return []row{{
		what:      "1 caller, 1 call in flight",
		ours:      fmt.Sprintf("median %s, p99 %s", micros(took), micros(median(ours.p99))),
		reference: fmt.Sprintf("plain relay: median %s, p99 %s; %s", micros(other), micros(median(plain.p99)), cppLatency),
		ratio:     fmt.Sprintf("%.2f", float64(took)/float64(other)),
		aim:       "median < " + micros(aim),
		verdict:   verdict(took < aim),
	}}, nil
}

// stuckFigure measures how much a client that does not read slows down the callers. The
// device sends signals with and without that client.
func stuckFigure(ctx context.Context, o options) ([]row, error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	with, err := openRoute(ctx, order{Address: b.address(), Callers: 4, InFlight: 16})
	if err != nil {
		return nil, err
	}
	defer with.close()
	without := &callRoute{load: with.load}
	if _, err := with.do(order{Do: "flood"}); err != nil {
		return nil, err
	}
	if err := (&callRoute{load: with.load}).round(time.Second); err != nil {
		return nil, err
	}
	var ratios []float64
	for round := range o.pick(15, 5) {
		if err := without.round(time.Second); err != nil {
			return nil, err
		}
		if _, err := with.do(order{Do: "stuck", Address: b.address()}); err != nil {
			return nil, err
		}
		if err := with.round(time.Second); err != nil {
			return nil, err
		}
		if _, err := with.do(order{Do: "unstuck"}); err != nil {
			return nil, err
		}
		ratios = append(ratios, with.rates[round]/without.rates[round])
	}
	ratio := median(ratios)
	slower := float64(median(with.p99)) / float64(median(without.p99))
	const least, most = 0.95, 1.1
	return []row{{
		what:      "the same beside a client that does not read",
		ours:      fmt.Sprintf("%.0f calls/s, p99 %s", median(with.rates), micros(median(with.p99))),
		reference: fmt.Sprintf("without it: %.0f calls/s, p99 %s", median(without.rates), micros(median(without.p99))),
		ratio:     fmt.Sprintf("calls %.2f, p99 %.2f", ratio, slower),
		aim:       fmt.Sprintf("nothing measurable: calls ≥ %.2f, p99 ≤ %.1f", least, most),
		verdict:   verdict(ratio >= least && slower <= most),
	}}, nil
}

// signalFigure measures how long it takes until 1000 subscribers have one signal.
func signalFigure(ctx context.Context, o options) ([]row, error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	l, err := startLoad(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	const subscribers = 1000
	if _, err := l.do(order{Do: "crowd", Address: b.address(), Clients: subscribers}); err != nil {
		return nil, err
	}
	var took []time.Duration
	for range o.pick(100, 30) {
		result, err := l.do(order{Do: "signal"})
		if err != nil {
			return nil, err
		}
		took = append(took, result.Took)
	}
	const aim = 20 * time.Millisecond
	worst := percentile(took, 100)
	return []row{{
		what: fmt.Sprintf("one signal, until %d subscribers have it", subscribers),
		ours: fmt.Sprintf("median %s, p90 %s, longest %s",
			millis(median(took)), millis(percentile(took, 90)), millis(worst)),
		aim:     "p90 < " + millis(aim),
		verdict: verdict(percentile(took, 90) < aim),
	}}, nil
}

// fleetSize returns how many devices a fleet has.
func fleetSize(o options) int { return o.pick(10_000, 2000) }

// idleFigure measures the cost of mounted clients that only ping.
func idleFigure(ctx context.Context, o options) ([]row, error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	l, err := startLoad(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	pid := b.cmd.Process.Pid
	time.Sleep(300 * time.Millisecond) // until the broker is idle, which cannot be seen from here
	before := memory(pid, "VmRSS")
	clients := fleetSize(o)
	if _, err := l.do(order{Do: "fleet", Address: b.address(), Clients: clients}); err != nil {
		return nil, err
	}
	// Each client pings once in a round, and the pings are spread evenly over it.
	round := heartbeatEvery
	if o.quick {
		round /= 4
	}
	// The broker still works on the logins for a while, which cannot be seen from here.
	if err := sleep(ctx, 5*time.Second); err != nil {
		return nil, err
	}
	connected := memory(pid, "VmRSS")
	busy := cpuTime(pid)
	start := time.Now()
	if err := sleep(ctx, round); err != nil {
		return nil, err
	}
	load := float64(cpuTime(pid)-busy) / float64(time.Since(start))
	after := memory(pid, "VmRSS")
	if before == 0 || after == 0 {
		return nil, errors.New("the broker has ended")
	}
	each := float64(after-before) / float64(clients) / 1024
	const most, busiest = 10.0, 0.03
	return []row{{
		what: fmt.Sprintf("%d idle mounted clients, memory each", clients),
		ours: fmt.Sprintf("%.1f KiB of the broker's RSS (%.1f just after their logins)",
			each, float64(connected-before)/float64(clients)/1024),
		reference: cppIdle,
		aim:       fmt.Sprintf("≤ %.0f KiB", most),
		verdict:   verdict(each <= most),
	}, {
		what:    fmt.Sprintf("%d idle mounted clients, a ping each in 60 s", clients),
		ours:    fmt.Sprintf("%.2f %% of a core, over %v", 100*load, round),
		aim:     fmt.Sprintf("< %.0f %%", 100*busiest),
		verdict: verdict(load < busiest),
	}}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// backFigure measures how long it takes until a fleet is back after a restart.
func backFigure(ctx context.Context, o options) ([]row, error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { b.stop() }()
	l, err := startLoad(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	clients := fleetSize(o)
	if _, err := l.do(order{Do: "fleet", Address: b.address(), Clients: clients}); err != nil {
		return nil, err
	}
	const limit = 3 * time.Minute
	if err := l.send(order{Do: "return", For: limit}); err != nil {
		return nil, err
	}
	killed := time.Now()
	_ = b.cmd.Process.Kill()
	<-b.done
	if b, err = startBrokerAt(ctx, o, b.url); err != nil {
		return nil, err
	}
	if _, err := l.answer(); err != nil {
		return nil, err
	}
	took := time.Since(killed)
	const aim = 60 * time.Second
	return []row{{
		what:    fmt.Sprintf("%d clients back after kill -9 and a restart, from %d addresses", clients, sources),
		ours:    fmt.Sprintf("%.1f s", took.Seconds()),
		aim:     fmt.Sprintf("≤ %.0f s", aim.Seconds()),
		verdict: verdict(took <= aim),
	}}, nil
}
