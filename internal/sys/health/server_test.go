package health

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	healthy, ready := true, true
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := On(l, Sources{
		Healthy: func() bool { return healthy },
		Ready:   func() bool { return ready },
		Metrics: func() []Family {
			return []Family{{"x_total", "Of\nx.", Counter, []Sample{Of(3, "cause", `a "b"`, "at", "x"), Of(1e6)}},
				{Name: "none"},
				{"d", "D.", Histogram,
					HistogramOf([]time.Duration{time.Millisecond, 2500 * time.Millisecond}, []uint64{1, 0, 2}, time.Minute)}}
		},
	})
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	defer func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	for _, tt := range []struct {
		path           string
		healthy, ready bool
		code           int
		body           string
	}{
		{"/healthz", true, false, 200, "ok\n"},
		{"/healthz", false, true, 503, "no\n"},
		{"/readyz", true, true, 200, "ok\n"},
		{"/readyz", true, false, 503, "no\n"},
		{"/readyz", false, true, 503, "no\n"},
		{"/metrics", false, true, 503, "no\n"},
		{"/metrics", true, false, 200,
			"# HELP x_total Of\\nx.\n# TYPE x_total counter\nx_total{cause=\"a \\\"b\\\"\",at=\"x\"} 3\nx_total 1e+06\n" +
				"# HELP d D.\n# TYPE d histogram\nd_bucket{le=\"0.001\"} 1\nd_bucket{le=\"2.5\"} 1\n" +
				"d_bucket{le=\"+Inf\"} 3\nd_sum 60\nd_count 3\n"},
		{"/", true, true, 404, "404 page not found\n"},
	} {
		healthy, ready = tt.healthy, tt.ready
		r, err := client.Get("http://" + s.Addr().String() + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if r.StatusCode != tt.code || string(body) != tt.body {
			t.Errorf("%+v: %d %q", tt, r.StatusCode, body)
		}
	}
	// Connections above the bound are closed at once.
	var refused int
	for range maxConnections + 4 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != nil && !strings.Contains(err.Error(), "timeout") {
		refused++
	}
	if refused != 1 {
		t.Error("a connection above the bound stays open")
	}
}
