// Package daemon runs a broker as a service: it opens the listeners and the journal,
// connects to parent brokers, reloads the configuration on a signal, serves metrics,
// tells systemd how it is, and drains at the end. What the broker does with its
// connections is in package core.
package daemon

import (
	"context"
	"io"
	"net"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/sys/audit"
	"shvtools/internal/sys/sdnotify"
	"shvtools/internal/wire/transport"
)

// Options are what a broker needs to run.
type Options struct {
	Config  *config.Config
	Sources config.Sources // where Config was read, and is read again
	// Check refuses a configuration that must not replace Config at a reload.
	Check func(*config.Config) error

	Listen        []ListenSpec
	Metrics       net.Listener // instead of one at Config.Operation.Metrics; nil: none
	Limits        core.Limits
	Advertise     core.Address    // where helpers connect without TLS
	AdvertiseURLs []transport.URL // and elsewhere

	Journal   Journal
	Audit     *audit.Trail // the record of who did what
	ReadyFile string       // written when all listeners are open; "": none

	Version, Commit string
	Notify          *sdnotify.Notifier
	Log             zerolog.Logger
	LogLost         func() uint64 // how many lines of Log were lost
}

// ListenSpec is a place to listen at.
type ListenSpec struct {
	URL transport.URL
	TLS transport.ListenOptions
	// Entry says who wants it, for errors.
	Entry config.Listen
}

// Journal says where the traffic is written.
type Journal struct {
	File   string
	Stream io.Writer // instead of File; it must not block
	Unsafe bool      // with secrets
}

// Run serves until ctx ends, and then drains. HUP and USR1 reload the configuration
// meanwhile.
func Run(ctx context.Context, o Options) error {
	records, file, err := o.Journal.open(o.Log)
	if err != nil {
		return err
	}
	defer file.close()
	listeners, err := listen(ctx, o.Listen)
	if err != nil {
		return err
	}
	var b *core.Broker
	var reload reloading
	rights := config.NewRights(o.Sources, o.Config, o.Check, func(d *auth.Directory) { b.Apply(d) })
	tables := make(map[string]core.RightsTable)
	for path, table := range rights.Tables() {
		tables[path] = table
	}
	b = core.New(core.Options{
		Users:   auth.NewStore(o.Config.Directory),
		Rights:  tables,
		Reload:  func() error { return reload.reload() },
		Log:     o.Log,
		Journal: records,
		Audit:   o.Audit,
		Name:    o.Config.Name,
		Version: o.Version,
		Commit:  o.Commit,
		Limits:  o.Limits,

		RefuseTakeover: o.Config.RefuseTakeover,

		Advertise:     o.Advertise,
		AdvertiseURLs: o.AdvertiseURLs,
	})
	up, err := newParents(o.Config.Connections, b, o.Log)
	if err != nil {
		return err
	}
	files := newFileWatch(listeners, o.Log)
	reload = reloading{b, rights, listeners, o.Listen, o.Config.Startup(), files, o.Notify, o.Log, o.Audit}
	keepRights(rights, o.Log)
	defer watchReload(reload)()
	defer up.run(ctx)()
	return serving{Options: o, broker: b, listeners: listeners, up: up, files: files, journal: file}.run(ctx)
}
