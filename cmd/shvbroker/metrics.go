package main

import (
	"runtime"

	"shvtools/internal/broker/broker"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/monitor"
	"shvtools/internal/wire/link"
)

// families are the metrics of a broker; docs/operation.md says what to do with them.
func families(s broker.Stats, up []uplinkState) []monitor.Family {
	family := func(kind monitor.Type, name, help string, samples ...monitor.Sample) monitor.Family {
		return monitor.Family{Name: "shvbroker_" + name, Help: help, Type: kind, Samples: samples}
	}
	gauge := func(name, help string, samples ...monitor.Sample) monitor.Family {
		return family(monitor.Gauge, name, help, samples...)
	}
	counter := func(name, help string, samples ...monitor.Sample) monitor.Family {
		return family(monitor.Counter, name, help, samples...)
	}
	var open, accepted, ended, logins, connected, connects []monitor.Sample
	for _, l := range s.Listeners {
		open = append(open, monitor.Of(l.Open, "listener", l.URL))
		accepted = append(accepted, monitor.Of(l.Accepted, "listener", l.URL))
	}
	for cause := link.Open + 1; int(cause) < link.Causes; cause++ {
		ended = append(ended, monitor.Of(s.Ended[cause], "cause", cause.String()))
	}
	for result, count := range s.Logins {
		logins = append(logins, monitor.Of(count, "result", broker.LoginResult(result).String()))
	}
	for _, u := range up {
		is := 0
		if u.Connected {
			is = 1
		}
		connected = append(connected, monitor.Of(is, "connection", u.Name))
		connects = append(connects, monitor.Of(u.Connects, "connection", u.Name))
	}
	const direction = "direction"
	t := s.Traffic
	all := []monitor.Family{
		gauge("build_info", "What the program was built from; always 1.",
			monitor.Of(1, "version", cliapp.Version(), "commit", cliapp.Commit(), "goversion", runtime.Version())),

		gauge("clients", "Connections, logged in or not, and those to brokers above.", monitor.Of(s.Clients)),
		gauge("unauthenticated_clients", "Connections that have not logged in.", monitor.Of(s.Unauthenticated)),
		gauge("connections", "Connections by the listener that they came through.", open...),
		counter("connections_accepted_total", "Connections that came, those included that were closed at once.", accepted...),
		counter("connections_ended_total", "Connections that ended or were refused, by cause.", ended...),
		counter("logins_total", "Logins by result.", logins...),
		family(monitor.Histogram, "login_duration_seconds", "How long it took to judge a login, without what it was held back for.",
			monitor.HistogramOf(s.LoginTime.Bounds, s.LoginTime.Counts, s.LoginTime.Sum)...),

		counter("frames_total", "Frames of all connections.", monitor.Of(t.FramesIn, direction, "in"), monitor.Of(t.FramesOut, direction, "out")),
		counter("bytes_total", "Bytes of all connections, without TLS.", monitor.Of(t.BytesIn, direction, "in"), monitor.Of(t.BytesOut, direction, "out")),
		gauge("queued_bytes", "Bytes that wait for peers.", monitor.Of(s.Queued)),
		counter("messages_total", "Messages that were passed on.",
			monitor.Of(s.Requests, "kind", "request"), monitor.Of(s.Responses, "kind", "response"), monitor.Of(s.Signals, "kind", "signal")),
		counter("messages_dropped_total", "Messages that were dropped, by reason.",
			monitor.Of(s.Unaddressed, "reason", "unaddressed"), monitor.Of(s.Forged, "reason", "forged"), monitor.Of(s.Late, "reason", "late"),
			monitor.Of(s.Bad, "reason", "malformed"), monitor.Of(s.Unmounted, "reason", "unmounted"), monitor.Of(s.Missed, "reason", "subscriber too slow")),
		counter("responses_lost_total", "Responses for which a connection between brokers had no room.", monitor.Of(s.ResponsesLost)),
		counter("requests_refused_total", "Requests for which a device, or the broker, had no room.", monitor.Of(s.RequestsRefused)),
		counter("requests_denied_total", "Requests to where their user may do nothing.", monitor.Of(s.RequestsDenied)),

		gauge("mounts", "Mount points with a device.", monitor.Of(s.Mounts)),
		gauge("subscriptions", "Subscriptions of all clients.", monitor.Of(s.Subscriptions)),
		gauge("tunnels", "Open tunnels, each a shell or a command.", monitor.Of(s.Tunnels)),
		gauge("tunnel_calls_awaiting", "Calls for a shell or a command whose helper has not come yet.", monitor.Of(s.Awaiting)),
		counter("tunnels_opened_total", "Tunnels that were opened.", monitor.Of(s.TunnelsOpened)),
		counter("tunnel_bytes_total", "Bytes that passed in tunnels.",
			monitor.Of(s.TunnelBytesToClients, "to", "client"), monitor.Of(s.TunnelBytesToHelpers, "to", "helper")),

		gauge("uplink_connected", "Whether a broker above is connected; 1 or 0.", connected...),
		counter("uplink_connects_total", "How often it was connected.", connects...),
	}
	return append(all, monitor.Process()...)
}
