package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"shvtools/internal/wire/transport"
)

// listen opens all listeners, or none. The error has a line for each that cannot be opened.
func listen(ctx context.Context, specs []ListenSpec) (listeners []*transport.Listener, err error) {
	var faults []error
	for _, s := range specs {
		s.TLS.OnlyIPv6 = sharesPort(s, specs)
		l, err := transport.Listen(ctx, s.URL, s.TLS)
		if err != nil {
			if of := new(transport.OptionError); !errors.As(err, &of) {
				err = fmt.Errorf("cannot listen on %s: %w", s.URL, err)
			}
			faults = append(faults, s.Entry.Fault(err))
			continue
		}
		listeners = append(listeners, l)
	}
	if len(faults) > 0 {
		for _, l := range listeners {
			_ = l.Close()
		}
		return nil, errors.Join(faults...)
	}
	return listeners, nil
}

// sharesPort reports whether a listener on [::], which takes IPv4 too, must leave that
// to another one on 0.0.0.0 with the same port.
func sharesPort(s ListenSpec, all []ListenSpec) bool {
	return s.URL.Host == "::" && slices.ContainsFunc(all, func(other ListenSpec) bool {
		return other.URL.Host == "0.0.0.0" && other.URL.Port == s.URL.Port && s.URL.Port != "0" && other.TLS.Socket == nil
	})
}
