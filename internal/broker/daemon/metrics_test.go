package daemon

import (
	"fmt"
	"reflect"
	"regexp"
	"testing"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/sys/health"
)

// number gives each number in v a value of its own, from next on, and notes where it
// stands. Elements of a Latency are left alone: they are told as sums.
func number(v reflect.Value, at string, next *int, places map[float64]string) {
	note := func() float64 {
		*next++
		places[float64(*next)] = at
		return float64(*next)
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			number(v.Field(i), at+"."+v.Type().Field(i).Name, next, places)
		}
	case reflect.Array:
		for i := range v.Len() {
			number(v.Index(i), fmt.Sprintf("%s[%d]", at, i), next, places)
		}
	case reflect.Slice:
		switch v.Type().Elem() {
		case reflect.TypeFor[core.ListenerStats]():
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				number(v.Index(i), fmt.Sprintf("%s[%d]", at, i), next, places)
			}
		case reflect.TypeFor[uint64]():
			v.Set(reflect.ValueOf([]uint64{uint64(note())}))
		case reflect.TypeFor[time.Duration]():
			v.Set(reflect.ValueOf([]time.Duration(nil)))
		default:
			panic("what is " + at + "?")
		}
	case reflect.Int, reflect.Int64:
		n := int64(note())
		if v.Type() == reflect.TypeFor[time.Duration]() {
			n *= int64(time.Second)
		}
		v.SetInt(n)
	case reflect.Uint64:
		v.SetUint(uint64(note()))
	case reflect.String:
		v.SetString(at)
	default:
		panic("what is " + at + "?")
	}
}

// Whatever the broker counts is of use to its operator.
func TestEachNumberOfTheBrokerIsExportedOnce(t *testing.T) {
	var s core.Stats
	next, places := 2_000_000_000, make(map[float64]string)
	number(reflect.ValueOf(&s).Elem(), "Stats", &next, places)
	found := make(map[float64][]string)
	for _, f := range families(s, nil, own{}) {
		for _, sample := range f.Samples {
			if f.Type == health.Histogram && sample.Suffix == "_count" {
				continue // that of the last class again
			}
			found[sample.Value] = append(found[sample.Value], f.Name+fmt.Sprint(sample.Labels))
		}
	}
	for value, at := range places {
		if len(found[value]) != 1 && at != "Stats.Ended[0]" { // link.Open is no end
			t.Errorf("%s is exported %d times: %q", at, len(found[value]), found[value])
		}
	}
	if len(places) < 40 {
		t.Errorf("only %d numbers were looked for", len(places))
	}
}

// promtool would say the same.
func TestMetricsFollowTheConventions(t *testing.T) {
	name := regexp.MustCompile(`^(shvbroker|process|go)_[a-z_]+[a-z]$`)
	s := core.Stats{Listeners: []core.ListenerStats{{URL: "tcp://a"}, {URL: "tcp://b"}}}
	names := make(map[string]bool)
	for _, f := range families(s, []uplinkState{{"x", true, 3}}, own{}) {
		switch {
		case !name.MatchString(f.Name) || names[f.Name]:
			t.Errorf("name %s", f.Name)
		case len(f.Help) < 5 || f.Help[len(f.Help)-1] != '.':
			t.Errorf("%s: help %q", f.Name, f.Help)
		case (f.Type == health.Counter) != (len(f.Name) > 6 && f.Name[len(f.Name)-6:] == "_total"):
			t.Errorf("%s is a %s", f.Name, f.Type)
		case len(f.Samples) == 0:
			t.Errorf("%s has no samples", f.Name)
		}
		names[f.Name] = true
		seen := make(map[string]bool)
		for _, sample := range f.Samples {
			if key := sample.Suffix + fmt.Sprint(sample.Labels); seen[key] {
				t.Errorf("%s%s is told twice", f.Name, key)
			} else {
				seen[key] = true
			}
			if f.Type != health.Histogram && len(f.Samples) > 1 && len(sample.Labels) == 0 {
				t.Errorf("a sample of %s has no label", f.Name)
			}
		}
	}
}
