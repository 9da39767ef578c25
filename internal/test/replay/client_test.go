package replay

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/wire/client"
)

// With the nonces of the recorded broker, our logins have the recorded hashes.
func TestClientLogsInAsRecorded(t *testing.T) {
	iot := client.Login{User: "iot", Password: "lub42DUB"}
	for _, tt := range []struct {
		scenario, conn string
		login          func(*client.Login)
		ours           func(chainpack.Value) (chainpack.Value, bool)
	}{
		{"a3_agent_login_hbi0_deviceid", "agent", func(l *client.Login) {
			l.MountPoint, l.DeviceID = "test/agent", "dev-1"
		}, nil},
		{"a5_same_mountpoint_twice", "agent2", func(l *client.Login) {
			l.MountPoint, l.Watchdog = "test/agent", 180*time.Second
		}, nil},
		{"b_rsh_session", "rsh", func(*client.Login) {}, nil},
		{"b_rsh_session", "rexec", func(l *client.Login) {
			*l = client.Login{Tunnel: "555a085622c135b37f0b4c19dae3c516e93bedc1"}
		}, anyPassword()},
	} {
		t.Run(tt.scenario+" "+tt.conn, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			login := iot
			tt.login(&login)
			dialed := start(t, func(ctx context.Context) error {
				c, err := client.Dial(ctx, client.Options{URL: s.url, Login: login})
				if err == nil {
					c.Close()
				}
				return err
			})
			p := s.accept(tt.scenario, tt.conn)
			p.ours = tt.ours
			p.play(4)
			if err := dialed.wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// noDevice drops the empty device options with which shvcall logs in. Our clients send
// none.
func noDevice(v chainpack.Value) (chainpack.Value, bool) {
	options := at(v, 1, "options")
	if options.IsNull() {
		return v, true
	}
	return edit(v, func(chainpack.Value) chainpack.Value {
		return chainpack.Map(without(options.Entries(), chainpack.StringKey("device"))...)
	}, 1, "options").WithMeta(v.Meta()...), true
}

// anyPassword allows any password hash. Our helper hashes the nonce alone, as the
// helper in the session of spec.md 13 did; the helper of the captures hashes the empty
// password too. No broker looks at it (spec.md 5.2).
func anyPassword() func(chainpack.Value) (chainpack.Value, bool) {
	return func(v chainpack.Value) (chainpack.Value, bool) {
		hash := always(chainpack.String("*"))
		return edit(v, hash, 1, "login", "password").WithMeta(v.Meta()...), true
	}
}

func TestRefusedLoginIsReportedWithTheBrokersText(t *testing.T) {
	t.Parallel()
	s := serve(t)
	dialed := start(t, func(ctx context.Context) error {
		login := client.Login{User: "iot", Password: "wrong", Watchdog: 180 * time.Second}
		_, err := client.Dial(ctx, client.Options{URL: s.url, Login: login})
		return err
	})
	p := s.accept("d_bad_login", "call")
	p.ours = noDevice
	p.play(4)
	err := dialed.wait()
	const text = "reason: Invalid password. at: 127.0.0.1:48228"
	if !errors.Is(err, client.ErrRefused) || !strings.Contains(err.Error(), text) {
		t.Error(err)
	}
	p.expectEnd()
}

// The recorded agent pings every 2 s.
func TestHeartbeatIsTheRecordedPing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	dialed := start(t, func(ctx context.Context) error {
		c, err := client.Dial(ctx, client.Options{
			URL:       s.url,
			Login:     client.Login{User: "iot", Password: "lub42DUB", MountPoint: "test/agent", Watchdog: 6 * time.Second},
			Heartbeat: 2 * time.Second,
		})
		if err != nil {
			return err
		}
		defer c.Close()
		<-ctx.Done()
		return c.Err()
	})
	p := s.accept("a1_agent_login_idle_hbi2", "agent")
	p.play(6)
	dialed.cancel()
	if err := dialed.wait(); err != nil {
		t.Error(err)
	}
}
