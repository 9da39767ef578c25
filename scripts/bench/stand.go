package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// remote is a way to run something on a device: our programs or ssh.
type remote struct {
	name string
	// argv runs the command that is added to it, without a terminal. Without a command it
	// opens a shell with a terminal.
	argv func(command string) []string
	// For rsync: the remote shell, the device, and the environment of both.
	rsh, host string
	env       []string
}

// brokerProgram is a shvbroker on a free port.
type brokerProgram struct {
	*program
	url string
}

func startBroker(ctx context.Context, o options) (*brokerProgram, error) {
	return startBrokerAt(ctx, o, "tcp://127.0.0.1:0")
}

func startBrokerAt(ctx context.Context, o options, listen string) (*brokerProgram, error) {
	ready := filepath.Join(o.temp, "broker.ready")
	_ = os.Remove(ready)
	p, err := startProgram(o.temp, "shvbroker", filepath.Join(o.bin, "shvbroker"),
		"--listen", listen, "--ready-file", ready, "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	url, err := p.awaitReady(ctx, ready)
	return &brokerProgram{p, url}, err
}

func (b *brokerProgram) address() string { return strings.TrimPrefix(b.url, "tcp://") }

// stand is a broker and an agent.
type stand struct {
	broker *brokerProgram
	agent  *program
	remote
}

const standPath = "test/agent"

func startStand(ctx context.Context, o options) (*stand, error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return nil, err
	}
	s, err := standAt(ctx, o, b)
	if err != nil {
		b.stop()
	}
	return s, err
}

// standAt starts an agent at a broker. The stand owns the broker then.
func standAt(ctx context.Context, o options, b *brokerProgram) (*stand, error) {
	ready := filepath.Join(o.temp, "agent.ready")
	_ = os.Remove(ready)
	agent, err := startProgram(o.temp, "shvagent", filepath.Join(o.bin, "shvagent"),
		"--url", b.url, "--mount", standPath, "--ready-file", ready, "--log-level", "warn")
	if err == nil {
		_, err = agent.awaitReady(ctx, ready)
	}
	if err != nil {
		return nil, err
	}
	s := &stand{broker: b, agent: agent}
	if s.rsh, err = filepath.Abs(filepath.Join(o.bin, "shvrsh")); err != nil {
		agent.stop()
		return nil, err
	}
	s.remote = s.remoteAt(b.url, standPath)
	return s, nil
}

// remoteAt returns the agent at a path of a broker.
func (s *stand) remoteAt(url, path string) remote {
	shvrsh := s.rsh
	return remote{
		name: "shvrsh",
		argv: func(command string) []string {
			argv := []string{shvrsh, "--url", url, path}
			if command != "" {
				argv = append(argv, command)
			}
			return argv
		},
		rsh:  shvrsh,
		host: strings.ReplaceAll(path, "/", "%2F"),
		env:  []string{"SHV_URL=" + url},
	}
}

func (s *stand) close() {
	s.agent.stop()
	s.broker.stop()
}
