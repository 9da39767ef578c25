package ptyproc_test

import (
	"io"
	"slices"
	"testing"
	"time"
)

// BenchmarkEcho is the round trip of one key: Write, cat on a raw terminal, Read.
func BenchmarkEcho(b *testing.B) {
	p := shell(b, modes[1], rawCat)
	out := p.Outputs()[0]
	readUntil(b, out, "ready\n")
	buf := make([]byte, 4096)
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		begin := time.Now()
		if _, err := p.Write([]byte("k")); err != nil {
			b.Fatal(err)
		}
		if _, err := out.Read(buf); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "µs/median")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "µs/p99")
}

// BenchmarkOutput is the throughput of bulk output.
func BenchmarkOutput(b *testing.B) {
	for _, m := range modes {
		b.Run(m.name, func(b *testing.B) {
			p := start(b, m, "cat", "/dev/zero")
			buf := make([]byte, 32<<10)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if _, err := io.ReadFull(p.Outputs()[0], buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
