package client

import (
	"testing"
	"time"

	"shvtools/internal/wire/link"
)

const (
	ping2    = `,9:".broker/app",10:"ping">i{}`
	ping3    = `,9:".app",10:"ping">i{}`
	interval = time.Minute
)

func TestHeartbeatPingsTheWayThatTheBrokerKnows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := loggedIn(t, Options{Heartbeat: interval})
		began := time.Now()
		for _, step := range []struct {
			want, answer string
			at           time.Duration
		}{
			{`<1:1,8:3` + ping2, `<8:3>i{2:true}`, interval},
			{`<1:1,8:4` + ping2, `<8:4>i{3:i{1:2,2:"doesn't exist"}}`, 2 * interval},
			{`<1:1,8:5` + ping3, `<8:5>i{2:null}`, 2 * interval},
			{`<1:1,8:6` + ping2, `<8:6>i{3:i{1:8,2:"not allowed"}}`, 3 * interval}, // a sign of life
			{`<1:1,8:7` + ping2, `<8:7>i{2:true}`, 4 * interval},
		} {
			b.Expect("%s", step.want)
			if at := time.Since(began); at != step.at {
				t.Errorf("%s at %v, want %v", step.want, at, step.at)
			}
			b.Send("%s", step.answer)
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}

func TestSecondUnansweredPingIsTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := loggedIn(t, Options{Heartbeat: interval})
		began := time.Now()
		b.Expect(`<1:1,8:3` + ping2)
		b.Expect(`<1:1,8:4` + ping2) // of the next beat
		b.Send(`<8:4>i{2:true}`)
		b.Expect(`<1:1,8:5` + ping2)
		lost := time.Now()
		b.Expect(`<1:1,8:6` + ping2)
		<-c.Done()
		if took := time.Since(lost); c.Link().Cause() != link.IdleTimeout || took < interval || took > 3*interval {
			t.Errorf("%v after %v, %v in all", c.Err(), took, time.Since(began))
		}
	})
}

func TestWithoutHeartbeatNothingIsSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c := loggedIn(t, Options{})
		time.Sleep(24 * time.Hour)
		if sent := c.Link().Traffic().FramesOut; sent != 2 || c.Err() != nil {
			t.Errorf("%d messages, %v", sent, c.Err())
		}
	})
}
