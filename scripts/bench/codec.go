package main

import (
	"context"
	"fmt"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// codecFigure measures the work of a broker for a tunnel frame: decode the meta, remove
// the caller id, encode the meta. The reference does the same with values, as a broker
// does that decodes whole messages.
func codecFigure(context.Context, options) ([]row, error) {
	message := dataMessage(rpc.Address{ID: 3, Callers: rpc.CallerIDs{4}}, make([]byte, 1024))
	ours := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		var m rpc.Message
		var head []byte
		for b.Loop() {
			if err := m.Parse(message); err != nil {
				b.Fatal(err)
			}
			m.PopCaller()
			head = m.AppendMeta(head[:0])
		}
	})
	values := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			v, _, err := chainpack.Decode(message, chainpack.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			out = chainpack.Append(out[:0], v)
		}
	})
	return []row{{
		what:      "meta of a tunnel frame, decode and encode",
		ours:      benchmarkText(ours),
		reference: "whole message as values: " + benchmarkText(values),
		ratio:     fmt.Sprintf("%.2f", nanos(ours)/nanos(values)),
		aim:       "0 allocations",
		verdict:   verdict(ours.MemAllocs < uint64(ours.N)),
	}}, nil
}

func nanos(r testing.BenchmarkResult) float64 { return float64(r.T.Nanoseconds()) / float64(r.N) }

func benchmarkText(r testing.BenchmarkResult) string {
	return fmt.Sprintf("%.0f ns, %d allocs", nanos(r), r.AllocsPerOp())
}

// dataMessage returns a data frame on channel 1, as a helper sends it.
func dataMessage(to rpc.Address, data []byte) []byte {
	return rpc.AppendResult(nil, to, chainpack.List(chainpack.Int(1), chainpack.String(string(data))))
}
