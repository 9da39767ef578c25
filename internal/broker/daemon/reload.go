package daemon

import (
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/sys/audit"
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
	audit     *audit.Trail
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
		r.audit.Write(audit.Record{Event: audit.Reload, Cause: "refused: " + strings.ReplaceAll(err.Error(), "\n", "; ")})
		return err
	}
	r.audit.Write(audit.Record{Event: audit.Reload})
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
	specs := renewed(r.specs, c)
	for i, l := range r.listeners {
		spec := specs[i]
		use, err := l.Reload(spec.URL, spec.TLS)
		if err != nil {
			faults = append(faults, spec.Entry.Fault(err))
		}
		uses = append(uses, use)
	}
	return uses, errors.Join(faults...)
}

// renewed returns specs with what the entries of a configuration say now that listen where they do:
// of several at one place the first entry goes with the first, and so on.
func renewed(specs []ListenSpec, c *config.Config) []ListenSpec {
	next := slices.Clone(specs)
	found := make(map[string]int) // entries of c, by those at the start
	taken := make(map[int]bool)
	for i := range next {
		s := &next[i]
		s.TLS.MinTLS = c.MinTLS
		was, err := s.Entry.Parsed()
		if err != nil {
			continue
		}
		key := s.Entry.At + " " + s.Entry.URL // all entries of --listen are at that flag
		at, known := found[key]               // several sockets of one entry share it
		if !known {
			at = -1
			for j, entry := range c.Listen {
				if u, err := entry.Parsed(); at < 0 && err == nil && !taken[j] && place(u) == place(was) {
					at = j
				}
			}
			found[key] = at
		}
		if at < 0 {
			continue
		}
		taken[at] = true
		s.Entry = c.Listen[at]
		s.URL, _ = s.Entry.Parsed()
		s.TLS.CertFile, s.TLS.KeyFile = s.Entry.Cert, s.Entry.Key
	}
	return next
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
