package main

import (
	"testing"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
)

// --print-config shows the defaults of the configuration; the broker has its own.
func TestLimitsOfNoConfigurationAreTheBrokers(t *testing.T) {
	got := limits(config.DefaultLimits())
	want := core.DefaultLimits()
	want.LoginPenalty = 0 // no configuration sets it
	if got != want {
		t.Errorf("the configuration says %+v, the broker %+v", got, want)
	}
}
