// Package health serves the health and the metrics of a program over HTTP: /healthz,
// /readyz, and /metrics in the text format of Prometheus (version 0.0.4).
//
// It has neither authentication nor TLS, so it belongs on loopback. It is no part of the
// protocol, and collects nothing but the metrics of the process: a program brings its own.
package health

import (
	"strconv"
	"strings"
	"time"
)

// Type is the type of a metric, as Prometheus names it.
type Type string

// The types of metrics.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Family is a metric with all its samples.
type Family struct {
	Name, Help string
	Type       Type
	Samples    []Sample
}

// Label distinguishes the samples of a family.
type Label struct{ Name, Text string }

// Sample is one value of a family.
type Sample struct {
	Suffix string // of the name, for a part of a histogram; otherwise ""
	Labels []Label
	Value  float64
}

// Of returns a sample. labels are names and texts of labels in turn.
func Of[N int | int64 | uint64 | float64](value N, labels ...string) Sample {
	s := Sample{Value: float64(value)}
	for i := 0; i+1 < len(labels); i += 2 {
		s.Labels = append(s.Labels, Label{labels[i], labels[i+1]})
	}
	return s
}

// HistogramOf returns the samples of a histogram of durations. counts[i] is the number of
// durations up to bounds[i] and above the bound before; the last count has no bound. sum is
// the sum of all durations.
func HistogramOf(bounds []time.Duration, counts []uint64, sum time.Duration) (samples []Sample) {
	var total uint64
	for i, count := range counts {
		total += count
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i].Seconds(), 'g', -1, 64)
		}
		s := Of(total, "le", bound)
		s.Suffix = "_bucket"
		samples = append(samples, s)
	}
	return append(samples, Sample{Suffix: "_sum", Value: sum.Seconds()}, Sample{Suffix: "_count", Value: float64(total)})
}

var (
	helpEscapes  = strings.NewReplacer("\\", `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
)

// appendText appends families in the text format, except those without samples.
func appendText(dst []byte, families []Family) []byte {
	for _, f := range families {
		if len(f.Samples) == 0 {
			continue
		}
		dst = append(dst, "# HELP "+f.Name+" "+helpEscapes.Replace(f.Help)+"\n# TYPE "+f.Name+" "+string(f.Type)+"\n"...)
		for _, s := range f.Samples {
			dst = append(append(dst, f.Name...), s.Suffix...)
			separator := byte('{')
			for _, label := range s.Labels {
				dst = append(dst, separator)
				dst = append(dst, label.Name+`="`+labelEscapes.Replace(label.Text)+`"`...)
				separator = ','
			}
			if len(s.Labels) > 0 {
				dst = append(dst, '}')
			}
			dst = append(dst, ' ')
			dst = strconv.AppendFloat(dst, s.Value, 'g', -1, 64)
			dst = append(dst, '\n')
		}
	}
	return dst
}
