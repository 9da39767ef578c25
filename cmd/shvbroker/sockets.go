package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/daemon"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/sdlisten"
	"shvtools/internal/wire/transport"
)

// give gives each listener the sockets that it asks for by name; where there are
// several of the name, it gets all. What does not fit is an error: a socket that
// nobody takes would keep clients waiting for ever. metrics is nil where they ask for
// none. The rules about where to listen hold for the addresses that the sockets have.
func (s *settings) give(sockets []sdlisten.Socket) (metrics net.Listener, err error) {
	taken := make(map[string]bool)
	var specs []daemon.ListenSpec
	var faults []error
	for _, d := range s.listen {
		if d.URL.Socket == "" {
			specs = append(specs, d)
			continue
		}
		named := bearing(sockets, d.URL.Socket)
		if len(named) == 0 || taken[d.URL.Socket] {
			faults = append(faults, noSocket(d.Entry.Where("socket"), d.URL.Socket, sockets, taken))
			continue
		}
		taken[d.URL.Socket] = true
		for _, k := range named {
			given := d
			if given.URL, err = transport.At(d.URL, k.Addr()); err != nil {
				faults = append(faults, fmt.Errorf("%s: socket %q: %w", d.Entry.Where("socket"), k.Name, err))
				continue
			}
			given.TLS.Socket = k.Listener
			specs = append(specs, given)
		}
	}
	if name, ok := strings.CutPrefix(s.config.Operation.Metrics, config.MetricsSocket); ok {
		named, source := bearing(sockets, name), s.config.Where("metrics.listen")
		switch {
		case len(named) == 0 || taken[name]:
			faults = append(faults, noSocket(source, name, sockets, taken))
		case len(named) > 1:
			faults = append(faults, fmt.Errorf("%s: %d sockets %q were passed, and one is listened on", source,
				len(named), name))
		default:
			metrics, taken[name] = named[0].Listener, true
		}
	}
	if faults != nil {
		return nil, cliapp.ConfigError(s.command, errors.Join(faults...))
	}
	for _, k := range sockets {
		if !taken[k.Name] {
			return nil, fmt.Errorf("the socket %q at %s was passed (LISTEN_FDNAMES), and nothing listens on it: name it by "+
				"`socket: %s` of an entry of listen, or take it out of the .socket unit", k.Name, k.Addr(), k.Name)
		}
	}
	s.listen = specs
	if err := s.check(s.config); err != nil {
		return nil, cliapp.ConfigError(s.command, err)
	}
	return metrics, nil
}

// bearing are the sockets of a name.
func bearing(sockets []sdlisten.Socket, name string) []sdlisten.Socket {
	return slices.DeleteFunc(slices.Clone(sockets), func(k sdlisten.Socket) bool { return k.Name != name })
}

// noSocket is the error for a socket that cannot be had.
func noSocket(at, name string, sockets []sdlisten.Socket, taken map[string]bool) error {
	if taken[name] {
		return fmt.Errorf("%s: the socket %q is asked for twice", at, name)
	}
	passed := make([]string, len(sockets))
	for i, k := range sockets {
		passed[i] = fmt.Sprintf("%q", k.Name)
	}
	if len(passed) == 0 {
		passed = []string{"none"}
	}
	return fmt.Errorf("%s: no socket %q was passed to the broker (LISTEN_FDNAMES), but %s: give it that "+
		"FileDescriptorName in the .socket unit, or take `socket` away", at, name, strings.Join(passed, ", "))
}
