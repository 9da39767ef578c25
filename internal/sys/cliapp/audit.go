package cliapp

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/sys/audit"
)

// AuditFlag returns --audit.
func AuditFlag() cli.Flag {
	return &cli.StringFlag{
		Name:  "audit",
		Usage: "append the record of who did what to `FILE`, one JSON object a line; HUP opens it again",
	}
}

// OpenAudit opens the record of a program, and opens it again at each HUP until close is called.
func OpenAudit(ctx context.Context, program string, s audit.Settings, log zerolog.Logger) (
	trail *audit.Trail, close func(), err error,
) {
	trail, err = audit.Open(audit.Options{Settings: s, Program: program, Log: log})
	if err != nil {
		return nil, nil, err
	}
	if !s.On() {
		return trail, trail.Close, nil
	}
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // sessions go on while the program drains
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-hups:
				trail.Reopen()
			case <-ctx.Done():
				return
			}
		}
	})
	return trail, func() {
		signal.Stop(hups)
		cancel()
		watch.Wait()
		trail.Close()
	}, nil
}

// CheckAudit returns what --check-config says about the record: a fault if sessions are
// refused without it, else a warning.
func CheckAudit(s audit.Settings) (warning string, fault error) {
	if s.File == "" {
		return "", nil
	}
	err := audit.Check(s.File)
	switch {
	case err == nil:
		return "", nil
	case s.Refuse:
		return "", err
	}
	return err.Error(), nil
}
