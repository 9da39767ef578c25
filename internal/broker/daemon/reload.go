package daemon

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/sys/sdnotify"
	"shvtools/internal/wire/transport"
)

// reloading holds what a reload changes.
type reloading struct {
	broker    *core.Broker
	rights    *config.Rights
	listeners []*transport.Listener
	specs     []ListenSpec      // of the listeners
	started   map[string]string // what the configuration said at start
	files     *fileWatch
	notify    *sdnotify.Notifier
	log       zerolog.Logger
}

// watchReload reloads at each HUP and USR1 until stop is called.
func watchReload(r reloading) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	ended := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
				_ = r.reload() // it is logged
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended
	}
}

// reload reads rights, certificates and revocation lists again. It reads all of them
// first, then puts them in force together; on an error nothing changes. It logs the
// result, and returns an error.
func (r reloading) reload() error {
	_ = r.notify.Reloading() // the reload goes on without systemd
	defer func() { _ = r.notify.Ready("serving") }()
	c, err := r.rights.Reload(func(c *config.Config) error {
		uses, err := r.readListeners(c)
		for _, up := range c.Connections {
			if fault := checkParent(up); fault != nil {
				err = errors.Join(err, fault)
			}
		}
		if err != nil {
			return err
		}
		for _, use := range uses {
			use()
		}
		return nil
	})
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			r.log.Error().Str("fault", strings.TrimSpace(line)).
				Msg("configuration not reloaded; the old rights and certificates stay in force")
		}
		return err
	}
	r.broker.Rejudge()
	for _, text := range c.Warnings {
		r.log.Warn().Str("warning", text).Msg("configuration: warning")
	}
	keepRights(r.rights, r.log)
	r.files.look(time.Now())
	waiting := c.Waiting(r.started)
	for _, key := range waiting {
		r.log.Warn().Str("key", key).Msg("configuration: changed, but in force only after a restart")
	}
	event := r.log.Info().Int("users", len(c.Access.Users))
	if len(waiting) > 0 {
		event.Strs("restartNeededFor", waiting)
	}
	event.Msg("configuration reloaded: rights and certificates are in force")
	return nil
}

// readListeners reads the files of all listeners, as c names them now.
func (r reloading) readListeners(c *config.Config) (uses []func(), err error) {
	var faults []error
	for i, l := range r.listeners {
		spec := r.specs[i]
		spec.TLS.MinTLS = c.MinTLS
		if entry, u, ok := listenerLike(spec, c); ok {
			spec.Entry, spec.URL = entry, u
			spec.TLS.CertFile, spec.TLS.KeyFile = entry.Cert, entry.Key
		}
		use, err := l.Reload(spec.URL, spec.TLS)
		if err != nil {
			faults = append(faults, spec.Entry.Fault(err))
		}
		uses = append(uses, use)
	}
	return uses, errors.Join(faults...)
}

// listenerLike returns the entry of a configuration that listens where s does.
func listenerLike(s ListenSpec, c *config.Config) (entry config.Listen, u transport.URL, ok bool) {
	was, err := s.Entry.Parsed()
	if err != nil {
		return entry, u, false
	}
	for _, entry = range c.Listen {
		u, err := entry.Parsed()
		if err == nil && place(u) == place(was) {
			return entry, u, true
		}
	}
	return entry, u, false
}

// place is where a URL listens, without what decides on trust.
func place(u transport.URL) [5]string { return [...]string{u.Scheme, u.Host, u.Port, u.Path, u.Socket} }

// checkParent returns an error for a parent broker that could not be connected to with the files
// that are named for it.
func checkParent(up config.Connection) error {
	if err := transport.CheckDial(up.URL); err != nil {
		return up.Fault(err)
	}
	_, err := ParentLogin(up)
	return err
}

// keepRights brings the file of changed rights up to date.
func keepRights(rights *config.Rights, log zerolog.Logger) {
	if err := rights.Keep(); err != nil {
		log.Warn().Err(err).Msg("rights: the access file cannot be written")
	}
}
