package uplink

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
)

// A child that flaps gives its parent ever longer rests, and one whose connection
// lasted begins anew.
func TestFlappingChildTriesLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const flaps = 100
		var began []time.Time
		o := Options{Log: zerolog.Nop()}
		o.keep(ctx, func(context.Context) error {
			began = append(began, time.Now())
			if len(began) == flaps {
				time.Sleep(time.Hour) // it lasts
			}
			if len(began) == flaps+2 {
				cancel()
			}
			return errors.New("gone")
		})
		// Waits are random parts of 1, 2, 4, 8, 16, 32 and then 60 s each.
		early, all := began[5].Sub(began[0]), began[flaps-1].Sub(began[0])
		if early > 31*time.Second || all < 20*time.Minute || all > flaps*time.Minute {
			t.Errorf("%d tries took %v, the first five %v", flaps, all, early)
		}
		if wait := began[flaps].Sub(began[flaps-1]) - time.Hour; wait > time.Second {
			t.Errorf("it waits %v after a connection that lasted", wait)
		}
	})
}

// What closes a circle must not do so again and again.
func TestLoopIsNotTriedAgainForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var began []time.Time
		o := Options{Log: zerolog.Nop(), LongestWait: time.Second}
		o.keep(ctx, func(context.Context) error {
			if began = append(began, time.Now()); len(began) == 5 {
				cancel()
			}
			return fmt.Errorf("%w (tcp://x)", ErrLoop)
		})
		for i := range began[1:] {
			if wait := began[i+1].Sub(began[i]); wait < time.Minute || wait > 2*time.Minute {
				t.Errorf("the wait after a loop is %v", wait)
			}
		}
	})
}

// asked lets answer play the parent of a connection that is watched. It returns how the
// watch ended, and after how long.
func asked(t *testing.T, answer func(n int) string) (took time.Duration, ended error) {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		in := bufio.NewReader(theirs)
		for n := 0; ; n++ {
			length, err := in.ReadByte()
			frame := make([]byte, length)
			if err != nil {
				return
			}
			if _, err := io.ReadFull(in, frame); err != nil {
				return
			}
			var m rpc.Message
			if err := m.Parse(frame[1:]); err != nil {
				t.Errorf("%x: %v", frame, err)
				return
			}
			text := answer(n)
			if text == "" {
				continue
			}
			v, err := cpon.Parse([]byte(fmt.Sprintf("<1:1,8:%d>%s", m.ID(), text)), chainpack.Limits{})
			if err != nil {
				t.Errorf("%s: %v", text, err)
				return
			}
			if _, err := theirs.Write(world.Frame(chainpack.Append(nil, v))); err != nil {
				return
			}
		}
	}()
	c := client.Direct(ours, client.Options{Link: link.Options{}})
	defer c.Close()
	o := Options{BrokerID: "own", Heartbeat: time.Minute, Log: zerolog.Nop()}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	began := time.Now()
	ended = o.watch(ctx, c)
	return time.Since(began), ended
}

// No error of a parent that could tell means that there is no loop.
func TestParentThatDoesNotTellWhoIsAboveIsGivenUp(t *testing.T) {
	const known = `i{2:["other"]}`
	busy := `i{3:i{1:13,2:"too many brokers ask"}}`
	for _, tt := range []struct {
		name   string
		answer func(n int) string
		says   string // part of the error, "" for a connection that stays
		after  time.Duration
	}{
		{"it tells", func(int) string { return known }, "", 10 * time.Minute},
		{"it knows no such question", func(int) string {
			return `i{3:i{1:2,2:"Method: 'brokersAbove' does not exist"}}`
		}, "", 10 * time.Minute},
		{"it says nothing", func(int) string { return "" }, "does not tell", time.Minute},
		{"it is busy for ever", func(int) string { return busy }, "too many brokers ask", time.Minute},
		{"it refuses", func(int) string {
			return `i{3:i{1:8,2:"Access to SHV path not granted"}}`
		}, "not granted", time.Minute},
		{"it is busy at first", func(n int) string { return []string{busy, busy, known}[min(n, 2)] }, "", 10 * time.Minute},
		{"it is busy after five minutes", func(n int) string {
			if n < 5 {
				return known
			}
			return busy
		}, "too many brokers ask", 6 * time.Minute},
		{"a loop is closed later", func(n int) string {
			if n < 3 {
				return known
			}
			return `i{2:["other","own"]}`
		}, ErrLoop.Error(), 3 * time.Minute},
		{"it is a loop after it was busy", func(n int) string {
			return []string{busy, `i{2:["own"]}`}[min(n, 1)]
		}, ErrLoop.Error(), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, err := asked(t, tt.answer)
				text := ""
				if err != nil {
					text = err.Error()
				}
				if (err == nil) != (tt.says == "") || !strings.Contains(text, tt.says) ||
					took < tt.after || took > tt.after+30*time.Second {
					t.Errorf("%v after %v; want %q after %v", err, took, tt.says, tt.after)
				}
			})
		})
	}
}
