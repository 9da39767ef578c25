package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Operation is how the program is run and watched.
type Operation struct {
	Metrics string        // host and port of metrics and health, or socket:NAME; "": none
	Grace   time.Duration // of open tunnels when the broker stops
	Spread  time.Duration // over which it closes connections then
}

// DefaultOperation is that of a configuration that says nothing.
func DefaultOperation() Operation { return Operation{Grace: 10 * time.Second} }

// maxDrain bounds both times of drain: who stops a broker waits for them.
const maxDrain = time.Hour

// MetricsSocket stands in Operation.Metrics before the name of a socket that systemd
// hands over.
const MetricsSocket = "socket:"

// CheckMetrics tells what is wrong with a place to serve metrics at.
func CheckMetrics(text string) error {
	if strings.HasPrefix(text, MetricsSocket) {
		return nil
	}
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is no host and port, such as 127.0.0.1:9375", text)
	}
	return nil
}

func (r *reader) metrics(n *node, c *Config) {
	r.fields(n, "metrics", map[string]func(key){
		"listen": func(k key) {
			c.Operation.Metrics = r.text(k.value, "listen of metrics")
			if err := CheckMetrics(c.Operation.Metrics); err != nil {
				r.fail(k.value.at, "listen of metrics: %w", err)
			}
			c.note("metrics.listen", c.Operation.Metrics, k.at)
		},
	})
}

func (r *reader) drain(n *node, c *Config) {
	read := func(d *time.Duration) func(key) {
		return func(k key) {
			value, err := time.ParseDuration(k.value.text)
			if k.value.kind != scalar || err != nil || value < 0 || value > maxDrain {
				r.fail(k.value.at, "drain: %s is a time from 0s to %s, such as 10s", k.name, maxDrain)
				return
			}
			*d = value
			c.note("drain."+k.name, value.String(), k.at)
		}
	}
	r.fields(n, "drain", map[string]func(key){
		"grace":  read(&c.Operation.Grace),
		"spread": read(&c.Operation.Spread),
	})
}
