package main

import (
	"runtime"

	"shvtools/internal/broker"
	"shvtools/internal/cliapp"
	"shvtools/internal/link"
	"shvtools/internal/monitor"
)

// families are the metrics of a broker; docs/broker.md says how they are served.
func families(s broker.Stats) []monitor.Family {
	one := func(kind monitor.Type, name, help string, value float64) monitor.Family {
		return monitor.Family{Name: "shvbroker_" + name, Help: help, Type: kind, Samples: []monitor.Sample{{Value: value}}}
	}
	by := func(name, help, label string, samples ...monitor.Sample) monitor.Family {
		for i := range samples {
			samples[i].Label = label
		}
		return monitor.Family{Name: "shvbroker_" + name, Help: help, Type: monitor.Counter, Samples: samples}
	}
	of := func(text string, n uint64) monitor.Sample { return monitor.Sample{Text: text, Value: float64(n)} }
	var ended []monitor.Sample
	for cause := link.Open + 1; int(cause) < link.Causes; cause++ {
		ended = append(ended, of(cause.String(), s.Ended[cause]))
	}
	build := by("build_info", "Version of the program; always 1.", "version", of(cliapp.Version(), 1))
	build.Type = monitor.Gauge
	return []monitor.Family{
		build,
		one(monitor.Gauge, "clients", "Connections, logged in or not.", float64(s.Clients)),
		one(monitor.Gauge, "unauthenticated_clients", "Connections that have not logged in.", float64(s.Unauthenticated)),
		one(monitor.Gauge, "mounts", "Mount points with a device.", float64(s.Mounts)),
		one(monitor.Gauge, "tunnels", "Open tunnels, each a shell or a command.", float64(s.Tunnels)),
		one(monitor.Gauge, "queued_bytes", "Bytes that wait for peers.", float64(s.Queued)),
		by("messages_total", "Messages that were passed on.", "kind", of("request", s.Requests), of("response", s.Responses), of("signal", s.Signals)),
		by("messages_dropped_total", "Messages that were dropped.", "reason", of("unaddressed", s.Unaddressed), of("forged", s.Forged),
			of("late", s.Late), of("malformed", s.Bad), of("unmounted", s.Unmounted), of("subscriber too slow", s.Missed)),
		one(monitor.Counter, "requests_refused_total", "Requests for which a device, or the broker, had no room.", float64(s.RequestsRefused)),
		one(monitor.Counter, "logins_refused_total", "Logins that were refused.", float64(s.LoginsRefused)),
		by("connections_ended_total", "Connections that ended or were refused, by cause.", "cause", ended...),
		{Name: "go_goroutines", Help: "Goroutines.", Type: monitor.Gauge, Samples: []monitor.Sample{{Value: float64(runtime.NumGoroutine())}}},
	}
}
