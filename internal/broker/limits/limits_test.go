package limits_test

import (
	"reflect"
	"testing"
	"time"

	"shvtools/internal/broker/limits"
)

func TestEachFieldHasItsDefaultAndItsSetting(t *testing.T) {
	all := reflect.ValueOf(limits.Default())
	for i := range all.NumField() {
		if all.Field(i).IsZero() {
			t.Errorf("%s has no default", all.Type().Field(i).Name)
		}
	}
	settings := limits.Settings(func(l *limits.Limits) *limits.Limits { return l })
	if got, want := len(settings), all.NumField()-3; got != want { // LoginPenalty, Work and WorkPerUser have none
		t.Errorf("%d settings of %d fields", got, want)
	}
	given := limits.Limits{MaxFrame: 1, LoginDeadline: time.Minute}
	if got := given.OrDefaults(); got.MaxFrame != 1 || got.LoginDeadline != time.Minute || got.QueueTotal != 256<<20 {
		t.Errorf("%+v", got)
	}
}
