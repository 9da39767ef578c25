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
	var uses []func()
	var faults []error
	for _, l := range r.listeners {
		use, err := l.Reload()
		uses, faults = append(uses, use), append(faults, err)
	}
	wrong := errors.Join(faults...)
	c, err := r.rights.Reload(func() error {
		if wrong != nil {
			return errListeners
		}
		for _, use := range uses {
			use()
		}
		return nil
	})
	if err != nil {
		if !errors.Is(err, errListeners) {
			wrong = errors.Join(wrong, err)
		}
		for line := range strings.Lines(wrong.Error()) {
			r.log.Error().Str("fault", strings.TrimSpace(line)).
				Msg("configuration not reloaded; the old rights and certificates stay in force")
		}
		return wrong
	}
	r.broker.Rejudge()
	for _, text := range c.Warnings {
		r.log.Warn().Str("warning", text).Msg("configuration: warning")
	}
	r.files.look(time.Now())
	r.log.Info().Int("users", len(c.Access.Users)).
		Msg("configuration reloaded: rights and certificates are in force; all else needs a restart")
	return nil
}

// errListeners refuses a reload because of the listeners' files.
var errListeners = errors.New("files of listeners")
