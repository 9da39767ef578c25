package main

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/config"
	"shvtools/internal/sys/audit"
)

// reloading holds what a reload changes.
type reloading struct {
	command *cli.Context
	started *config.Config // with which the agent runs
	now     *config.Config // the last one whose policy was put in force
	inForce *agent.InForce
	systemd *supervisor
	audit   *audit.Trail
	log     zerolog.Logger
}

// hangups receives HUP from now on. It would end the agent otherwise, and its sessions.
func hangups() chan os.Signal {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGHUP)
	return received
}

// watch reloads at each signal until stop is called.
func (r *reloading) watch(signals chan os.Signal) (stop func()) {
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-signals:
				r.reload()
			case <-ended:
				return
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(ended)
		watching.Wait()
	}
}

// reload reads the configuration again and puts in force what needs no restart: the policy, the
// limits of sessions, drain, and the passwords of the next connections. A file with a fault
// changes nothing.
func (r *reloading) reload() {
	r.systemd.reloading()
	defer r.systemd.reloaded()
	c, err := r.read()
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			r.log.Error().Str("fault", strings.TrimSpace(line)).
				Msg("configuration not reloaded; the old policy stays in force")
		}
		r.audit.Write(audit.Record{Event: audit.Reload, Cause: "refused: " + strings.ReplaceAll(err.Error(), "\n", "; ")})
		return
	}
	for _, text := range c.Warnings {
		r.log.Warn().Str("warning", text).Msg("configuration: warning")
	}
	// Of what only a restart takes, a fault must not hold up the policy.
	if err := errors.Join(refused(c), checkReach(c)); err != nil {
		for line := range strings.Lines(err.Error()) {
			r.log.Warn().Str("warning", strings.TrimSpace(line)).Msg("configuration: warning")
		}
	}
	for _, key := range c.WaitingFrom(r.started) {
		r.log.Warn().Str("key", key).Msg("configuration: a change needs a restart")
	}
	t := terms(c, r.brokers())
	ended := r.inForce.Replace(t)
	rules := c.RulesFrom(r.now)
	r.now = c
	r.audit.Write(audit.Record{Event: audit.Reload})
	r.log.Info().Int("rules", len(c.Policy.Rules)).Strs("added", rules.Added).Strs("removed", rules.Removed).
		Strs("changed", rules.Changed).Int("ended", ended).
		Msg("configuration reloaded: the policy is in force")
}

// read reads the file of the start. One that the start found by itself must still be there.
func (r *reloading) read() (*config.Config, error) {
	s := sources(r.command)
	if r.now.File != "" {
		s.File = r.now.File
	}
	return config.Reload(r.now, s)
}

// brokers returns the brokers of the start with the passwords of now. A password that cannot be
// read leaves all as they were: the present connection does not need it.
func (r *reloading) brokers() []agent.Broker {
	warn := func(text string) { r.log.Warn().Str("warning", text).Msg("connection: warning") }
	all, err := brokers(r.command, r.started, true, warn)
	if err != nil {
		r.log.Warn().Err(err).Msg("configuration: password not read; the old one stays in use")
		return r.inForce.Brokers()
	}
	return all
}

// terms are what a configuration says of what an agent may be given while it runs.
func terms(c *config.Config, brokers []agent.Broker) agent.Terms {
	return agent.Terms{Policy: c.Policy, Sessions: sessions(c), Drain: c.Drain, Brokers: brokers}
}
