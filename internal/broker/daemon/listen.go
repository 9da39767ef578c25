package daemon

import (
	"context"
	"fmt"
	"slices"

	"shvtools/internal/wire/transport"
)

// listen opens all listeners, or none.
func listen(ctx context.Context, specs []ListenSpec) (listeners []*transport.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
		}
	}()
	for _, s := range specs {
		s.TLS.OnlyIPv6 = sharesPort(s, specs)
		l, err := transport.Listen(ctx, s.URL, s.TLS)
		if err != nil {
			return listeners, fmt.Errorf("cannot listen on %s (%s): %w", s.URL, s.At, err)
		}
		listeners = append(listeners, l)
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
