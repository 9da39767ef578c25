// Package monitor serves the health and the numbers of a program over HTTP:
// /healthz, /readyz and /metrics in the text format of Prometheus (version 0.0.4).
// It knows neither authentication nor TLS, so it belongs on loopback; it is no part
// of the protocol. The format is a few lines, so there is no dependency for it.
package monitor

import (
	"strconv"
	"strings"
)

// Type of a family, as Prometheus names it.
type Type string

// The types.
const (
	Counter Type = "counter"
	Gauge   Type = "gauge"
)

// Family is a metric with all its samples.
type Family struct {
	Name, Help string
	Type       Type
	Samples    []Sample
}

// Sample is a value, with one label or none.
type Sample struct {
	Label, Text string
	Value       float64
}

var (
	helpEscapes  = strings.NewReplacer("\\", `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
)

// appendText appends families in the text format.
func appendText(dst []byte, families []Family) []byte {
	for _, f := range families {
		dst = append(dst, "# HELP "+f.Name+" "+helpEscapes.Replace(f.Help)+"\n# TYPE "+f.Name+" "+string(f.Type)+"\n"...)
		for _, s := range f.Samples {
			dst = append(dst, f.Name...)
			if s.Label != "" {
				dst = append(dst, "{"+s.Label+`="`+labelEscapes.Replace(s.Text)+`"}`...)
			}
			dst = append(dst, ' ')
			dst = strconv.AppendFloat(dst, s.Value, 'g', -1, 64)
			dst = append(dst, '\n')
		}
	}
	return dst
}
