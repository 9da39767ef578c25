package main

import (
	"context"
	"fmt"
)

// cppBroker is the result of the C++ broker in a similar set-up, measured when the project
// began.
const cppBroker = 0.21

// framesFigure measures how fast frames of 64 KiB go through bin/shvbroker. The reference
// is a plain relay with the same generator. Each is a process of its own.
func framesFigure(ctx context.Context, o options) ([]row, error) {
	const data = 64 << 10
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	ours, err := brokerRoute(ctx, b.address(), data, 0)
	if err != nil {
		return nil, err
	}
	defer ours.close()
	relay, address, err := startRelay(ctx, o)
	if err != nil {
		return nil, err
	}
	defer relay.stop()
	plain, err := relayRoute(ctx, address, data, 0)
	if err != nil {
		return nil, err
	}
	defer plain.close()

	routes := []*route{ours, plain}
	rates := make([][]float64, len(routes))
	var ratios []float64 // within one round, because the machine changes from round to round
	const bursts = 4000
	for round := range o.pick(30, 10) {
		for i, r := range routes {
			took, err := r.carry(bursts)
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], rate(bursts*len(r.burst), took))
		}
		ratios = append(ratios, rates[0][round]/rates[1][round])
	}
	ratio := median(ratios)
	return []row{{
		what:      "frames of 64 KiB through shvbroker",
		ours:      fmt.Sprintf("%.0f MB/s", median(rates[0])),
		reference: fmt.Sprintf("io.CopyBuffer relay: %.0f MB/s", median(rates[1])),
		ratio:     fmt.Sprintf("%.2f (C++ broker, measured elsewhere: %.2f)", ratio, cppBroker),
		aim:       "≥ 0.8",
		verdict:   verdict(ratio >= 0.8),
	}}, nil
}
