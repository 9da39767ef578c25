package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// treeUser configures a user who has all rights, including that of a child broker.
const treeUser = `access:
  users: {iot: {password: !Plain lub42DUB, roles: [broker]}}
  roles: {broker: {access: [{shvRI: "**", grant: su}], mount-points: ["test/**"]}}
`

// treePath is the path of the agent for the user.
const treePath = "test/low/" + standPath

// startTree starts a stand with two brokers. The user is at the upper one, the agent and
// its helpers at the lower one, so all sessions share the connection between the brokers.
func startTree(ctx context.Context, o options) (*stand, *brokerProgram, error) {
	upper, err := startConfigured(ctx, o, "upper", "tcp://127.0.0.1:0", treeUser)
	if err != nil {
		return nil, nil, err
	}
	// The configuration of the lower broker needs its own address for helpers.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		upper.stop()
		return nil, nil, err
	}
	at := "tcp://" + free.Addr().String()
	_ = free.Close()
	lower, err := startConfigured(ctx, o, "lower", at, treeUser+fmt.Sprintf(`tunnel: {advertise: [%q]}
connections:
- {name: up, enabled: true, client: {url: %q, user: iot, password-file: password, mount: test/low}}
`, at, upper.url))
	if err != nil {
		upper.stop()
		return nil, nil, err
	}
	s, err := standAt(ctx, o, lower)
	if err != nil {
		lower.stop()
		upper.stop()
		return nil, nil, err
	}
	s.remote = s.remoteAt(upper.url, treePath)
	return s, upper, nil
}

// startConfigured starts a broker with a configuration.
func startConfigured(ctx context.Context, o options, name, listen, config string) (*brokerProgram, error) {
	file, ready := filepath.Join(o.temp, name+".yaml"), filepath.Join(o.temp, name+".ready")
	_ = os.Remove(ready)
	if err := os.WriteFile(filepath.Join(o.temp, "password"), []byte("lub42DUB\n"), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, "listen: [{url: %q}]\n%s", listen, config), 0o600); err != nil {
		return nil, err
	}
	p, err := startProgram(o.temp, name, filepath.Join(o.bin, "shvbroker"),
		"--config", file, "--ready-file", ready, "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	url, err := p.awaitReady(ctx, ready)
	return &brokerProgram{p, url}, err
}

// sharedFigure measures the time from a key to its echo over a connection between two
// brokers, while another session moves bytes there or is stuck. The time through one
// broker shows the part of the machine, whose cores all programs share.
func sharedFigure(ctx context.Context, o options) ([]row, error) {
	one, err := startStand(ctx, o)
	if err != nil {
		return nil, err
	}
	defer one.close()
	two, upper, err := startTree(ctx, o)
	if err != nil {
		return nil, err
	}
	defer upper.stop()
	defer two.close()
	found := func() bool { return command(ctx, two.remote, "true").Run() == nil }
	if err := two.broker.await(ctx, found); err != nil {
		return nil, err
	}
	var quiet, busy, single *terminal
	for _, t := range []struct {
		terminal **terminal
		at       remote
	}{{&quiet, two.remote}, {&busy, two.remote}, {&single, one.remote}} {
		if *t.terminal, err = openEcho(ctx, t.at.argv("")); err != nil {
			return nil, err
		}
		defer (*t.terminal).close()
	}
	const aim = 5 * time.Millisecond
	var rows []row
	for _, other := range []struct {
		what   string
		beside func(t *terminal, r remote, count int) error
	}{
		{"copies down", func(t *terminal, r remote, count int) error {
			return t.sampleBeside(ctx, r, "cat /dev/zero", "", count)
		}},
		{"copies up", func(t *terminal, r remote, count int) error {
			return t.sampleBeside(ctx, r, "cat >/dev/null", "/dev/zero", count)
		}},
		{"is stuck", func(t *terminal, r remote, count int) error { return t.sampleBesideStuck(ctx, r, count) }},
	} {
		for range o.pick(5, 2) {
			count := o.pick(400, 100)
			err := quiet.sample(10, count)
			if err == nil {
				err = other.beside(busy, two.remote, count)
			}
			if err == nil {
				err = other.beside(single, one.remote, count)
			}
			if err != nil {
				return nil, fmt.Errorf("another session %s: %w", other.what, err)
			}
		}
		delay := percentile(busy.took, 99) - percentile(quiet.took, 99)
		rows = append(rows, row{
			what: "keystroke through two brokers while another session " + other.what,
			ours: keystrokeText(busy.took),
			reference: fmt.Sprintf("without it: %s; through one broker: %s",
				keystrokeText(quiet.took), keystrokeText(single.took)),
			ratio:   fmt.Sprintf("%.2f", float64(percentile(busy.took, 99))/float64(percentile(single.took, 99))),
			aim:     "p99 later by < " + millis(aim),
			verdict: verdict(delay < aim),
		})
		quiet.took, busy.took, single.took = nil, nil, nil
	}
	return rows, nil
}

// sampleBesideStuck is sample beside a session whose output is not read.
func (t *terminal) sampleBesideStuck(ctx context.Context, r remote, count int) error {
	cmd, out, err := startWaiting(ctx, r, "exec cat /dev/zero")
	if err != nil {
		return err
	}
	defer func() {
		_ = out.Close() // shvrsh is blocked in a write
		end(cmd)
	}()
	time.Sleep(time.Second) // until all queues on the way are full, which cannot be seen from here
	return t.sample(10, count)
}
