package asynccall_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/device/asynccall"
)

// Somebody who has left used to keep the device busy with what they had asked for.
func TestCallsThatNobodyAsksForAreNotRunOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, slow, done := newStand(t), make(chan struct{}), make(chan struct{})
		close(done)
		l := lane(asynccall.Limits{Running: 1, Waiting: 10, Bytes: 1000, Patience: 30 * time.Second})
		for id := range int64(6) {
			open := done
			if id == 0 {
				open = slow
			}
			order := ""
			if id == 2 || id == 5 {
				order = "a"
			}
			if id == 5 {
				time.Sleep(20 * time.Second) // late, but it must not run without 3
			}
			if err := s.start(l, id+1, order, open); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(9 * time.Second)
		s.table.Progress(from(2).From) // the caller asks
		_ = s.start(l, 4, "", done)    // or repeats the call
		time.Sleep(9 * time.Second)
		close(slow)
		synctest.Wait()
		var refused, answered []string
		for _, text := range s.answers {
			if strings.Contains(text, "nobody asked for this one") {
				refused = append(refused, strings.Split(text, ",")[1])
			} else {
				answered = append(answered, text)
			}
		}
		slices.Sort(refused)
		if !slices.Equal(refused, []string{"8:3", "8:5", "8:6"}) ||
			!slices.Equal(answered, []string{answer(1), answer(2), answer(4)}) {
			t.Errorf("refused %q, answered %q", refused, answered)
		}
		s.answers = nil
		if err := s.start(l, 9, "a", done); err != nil { // nothing of them is left
			t.Fatal(err)
		}
		s.expect(answer(9))
		for id := range int64(10) {
			if _, ok := s.table.Progress(from(id).From); ok {
				t.Errorf("call %d still runs", id)
			}
		}
		s.table.Close(time.Second)
	})
}
