package daemon

import (
	"runtime"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/sys/health"
	"shvtools/internal/wire/link"
)

// own is what metrics say of the program itself.
type own struct {
	version, commit                 string
	logLost, journalLost, auditLost uint64
}

// families are the metrics of a broker.
func families(s core.Stats, up []uplinkState, o own) []health.Family {
	family := func(kind health.Type, name, help string, samples ...health.Sample) health.Family {
		return health.Family{Name: "shvbroker_" + name, Help: help, Type: kind, Samples: samples}
	}
	gauge := func(name, help string, samples ...health.Sample) health.Family {
		return family(health.Gauge, name, help, samples...)
	}
	counter := func(name, help string, samples ...health.Sample) health.Family {
		return family(health.Counter, name, help, samples...)
	}
	var open, accepted, ended, logins, connected, connects []health.Sample
	for _, l := range s.Listeners {
		open = append(open, health.Of(l.Open, "listener", l.URL))
		accepted = append(accepted, health.Of(l.Accepted, "listener", l.URL))
	}
	for cause := link.Open + 1; int(cause) < link.Causes; cause++ {
		ended = append(ended, health.Of(s.Ended[cause], "cause", cause.String()))
	}
	for result, count := range s.Logins {
		logins = append(logins, health.Of(count, "result", door.Result(result).String()))
	}
	for _, u := range up {
		is := 0
		if u.Connected {
			is = 1
		}
		connected = append(connected, health.Of(is, "connection", u.Name))
		connects = append(connects, health.Of(u.Connects, "connection", u.Name))
	}
	const direction = "direction"
	t := s.Traffic
	all := []health.Family{
		gauge("build_info", "What the program was built from; always 1.",
			health.Of(1, "version", o.version, "commit", o.commit, "goversion", runtime.Version())),

		counter("log_lines_lost_total", "Lines of the log that were lost, since stderr was not read in time.",
			health.Of(o.logLost)),
		counter("journal_messages_lost_total", "Messages that the journal lacks, since it could not be written in time.",
			health.Of(o.journalLost)),
		counter("audit_records_lost_total", "Records of who did what that were lost, since they could not be written.",
			health.Of(o.auditLost)),

		gauge("clients", "Connections, logged in or not, those to parent brokers included.", health.Of(s.Clients)),
		gauge("unauthenticated_clients", "Connections that have not logged in.", health.Of(s.Unauthenticated)),
		gauge("connections", "Open connections, by listener.", open...),
		counter("connections_accepted_total", "Accepted connections, those that were closed at once included.",
			accepted...),
		counter("connections_ended_total", "Connections that ended or were refused, by cause.", ended...),
		counter("logins_total", "Logins by result.", logins...),
		family(health.Histogram, "login_duration_seconds",
			"How long it took to check a login, without the delay after failed ones.",
			health.HistogramOf(s.LoginTime.Bounds, s.LoginTime.Counts, s.LoginTime.Sum)...),

		counter("frames_total", "Frames of all connections.",
			health.Of(t.FramesIn, direction, "in"), health.Of(t.FramesOut, direction, "out")),
		counter("bytes_total", "Bytes of all connections, without TLS.",
			health.Of(t.BytesIn, direction, "in"), health.Of(t.BytesOut, direction, "out")),
		gauge("queued_bytes", "Bytes queued for peers.", health.Of(s.Queued)),
		gauge("unfinished_bytes", "Memory of messages that have not arrived as a whole.", health.Of(s.Begun)),
		counter("messages_total", "Messages that were forwarded.",
			health.Of(s.Requests, "kind", "request"), health.Of(s.Responses, "kind", "response"),
			health.Of(s.Signals, "kind", "signal")),
		counter("messages_dropped_total", "Messages that were dropped, by reason.",
			health.Of(s.Unaddressed, "reason", "unaddressed"), health.Of(s.Forged, "reason", "forged"),
			health.Of(s.Misplaced, "reason", "misplaced"),
			health.Of(s.Late, "reason", "late"), health.Of(s.Bad, "reason", "malformed"),
			health.Of(s.Unmounted, "reason", "unmounted"), health.Of(s.Missed, "reason", "subscriber too slow"),
			health.Of(s.Skipped, "reason", "subscriptions too costly")),
		counter("responses_lost_total", "Responses that were lost because the queue to another broker was full.",
			health.Of(s.ResponsesLost)),
		counter("requests_refused_total",
			"Requests that were refused because a queue was full, or their user above its share of what waits.",
			health.Of(s.RequestsRefused)),
		counter("requests_denied_total", "Requests to paths where their user has no rights.", health.Of(s.RequestsDenied)),

		counter("takeovers_total", "Devices that logged in at the mount point of another one of their user that answers.",
			health.Of(s.TakeoversAlive, "result", "taken"), health.Of(s.TakeoversRefused, "result", "refused")),
		gauge("mounts", "Mount points with a device.", health.Of(s.Mounts)),
		gauge("subscriptions", "Subscriptions of all clients.", health.Of(s.Subscriptions)),
		gauge("tunnels", "Open sessions on devices, each a shell or a command.", health.Of(s.Tunnels)),
		gauge("tunnel_calls_awaiting", "Calls for a shell or a command whose session has not connected yet.",
			health.Of(s.Awaiting)),
		counter("tunnels_opened_total", "Sessions that were opened.", health.Of(s.TunnelsOpened)),
		counter("tunnel_bytes_total", "Bytes that passed in sessions.",
			health.Of(s.TunnelBytesToClients, "to", "client"), health.Of(s.TunnelBytesToHelpers, "to", "helper")),

		gauge("uplink_connected", "Whether a parent broker is connected: 1 or 0.", connected...),
		counter("uplink_connects_total", "How often it was connected.", connects...),
	}
	return append(all, health.Process()...)
}
