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
		{text: "metrics: {listen: \"127.0.0.1:9375\"}\ndrain: {grace: 1m, spread: 5s}", want: Operation{"127.0.0.1:9375", time.Minute, 5 * time.Second}},
		{text: "drain: {grace: 0s}"},
		{text: "drain: {grace: -1s}", fault: "1:16: drain: grace is a time"},
		{text: "drain: {spread: 2h}", fault: "drain: spread is a time"},
		{text: "drain: {grace: [1s]}", fault: "drain: grace is a time"},
		{text: "drain: {now: 1s}", fault: `unknown key "now"`},
		{text: "metrics: {listen: \"socket:x\"}", want: Operation{"socket:x", 10 * time.Second, 0}},
		{text: "metrics: {listen: \"[::1]:0\"}", want: Operation{"[::1]:0", 10 * time.Second, 0}},
		{text: "metrics: {listen: 127.0.0.1}", fault: `1:19: listen of metrics: "127.0.0.1" is no host and port`},
		{text: "metrics: {listen: \"127.0.0.1:http\"}", fault: "is no host and port"},
		{text: "metrics: {listen: \"127.0.0.1:65536\"}", fault: "is no host and port"},
		{text: "metrics: {port: 1}", fault: `unknown key "port"`},
	} {
		c, err := load(Sources{File: "x.yaml"}, []byte(tt.text))
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
