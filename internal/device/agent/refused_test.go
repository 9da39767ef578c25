package agent_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"shvtools/internal/device/agent"
	"shvtools/internal/wire/transport"
)

func parse(t *testing.T, text string) transport.URL {
	t.Helper()
	u, err := transport.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Whoever answers there could be anybody: the agent ends and does not try again.
func TestAgentEndsIfAllItsBrokersAreRefused(t *testing.T) {
	o := options(t)
	o.Status = agent.NewStatus(time.Now)
	for _, url := range []string{"tcp://192.0.2.1", "ws://192.0.2.2"} {
		o.Brokers = append(o.Brokers, agent.Broker{URL: parse(t, url)})
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	err := agent.Run(ctx, o)
	var refused *transport.PlaintextError
	if !errors.As(err, &refused) || refused.URL.Host != "192.0.2.2" || o.Status.Report().LastError == "" {
		t.Errorf("%v; status %+v", err, o.Status.Report())
	}
}

// A refused spare must not take a device off the air whose own broker is away for a moment.
func TestRefusedSpareIsNoReasonToEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := options(t)
	o.Brokers = []agent.Broker{{URL: parse(t, "tcp://192.0.2.1")}, {URL: transport.ListenURL(l)}}
	stop := runAgent(t, o)
	defer stop()
	for range 2 { // it comes again
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
}
