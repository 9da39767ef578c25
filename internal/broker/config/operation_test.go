package config

import (
	"strings"
	"testing"
	"time"
)

func TestOperation(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  Operation
		fault string
	}{
		{text: "name: x", want: Operation{Grace: 10 * time.Second}},
		{text: "metrics: {listen: \"127.0.0.1:9375\"}\ndrain: {grace: 1m, spread: 5s}", want: Operation{"127.0.0.1:9375",
			time.Minute, 5 * time.Second}},
		{text: "drain: {grace: 0s}"},
		{text: "drain: {grace: 5}", want: Operation{Grace: 5 * time.Second}},
		{text: "drain: {grace: -1s}", fault: `1:16: drain.grace: invalid duration "-1s"`},
		{text: "drain: {spread: 2h}", fault: "drain.spread: duration 2h is out of range (want 0s to 1h)"},
		{text: "drain: {grace: [1s]}", fault: "drain.grace: not a single value"},
		{text: "drain: {now: 1s}", fault: "1:9: drain.now: unknown key (want grace or spread)"},
		{text: "metrics: {listen: \"socket:x\"}", want: Operation{"socket:x", 10 * time.Second, 0}},
		{text: "metrics: {listen: \"[::1]:0\"}", want: Operation{"[::1]:0", 10 * time.Second, 0}},
		{text: "metrics: {listen: 127.0.0.1}",
			fault: `1:19: metrics.listen: invalid address "127.0.0.1" (want a host and port such as 127.0.0.1:9375, or ` +
				`socket:NAME)`},
		{text: "metrics: {listen: \"127.0.0.1:http\"}", fault: "invalid address"},
		{text: "metrics: {listen: \"127.0.0.1:65536\"}", fault: "invalid address"},
		{text: "metrics: {port: 1}", fault: "1:11: metrics.port: unknown key (want listen)"},
	} {
		c, err := load(Sources{File: "x.yaml"}, []byte(tt.text+"\naccess: {}\n"))
		switch {
		case tt.fault != "":
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v, want %s", tt.text, err, tt.fault)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.text, err)
		case c.Operation != tt.want:
			t.Errorf("%s: %+v", tt.text, c.Operation)
		}
	}
}
