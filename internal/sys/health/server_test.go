package health

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
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
}

// Any local user can open connections and be slow: a probe is answered all the same.
func TestSlowClientsDoNotKeepOutAProbe(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	yes := func() bool { return true }
	s := On(l, Sources{Healthy: yes, Ready: yes, Metrics: func() []Family { return nil }})
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	defer func() {
		s.Close()
		<-served
	}()
	var slow []net.Conn
	for i := range 3 * maxConnections {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			_, _ = io.WriteString(c, "GET /heal") // the server may have closed it
		}
		slow = append(slow, c)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for range 5 {
		r, err := client.Get("http://" + s.Addr().String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Error(r.Status)
		}
	}
	// No more than the bound are open.
	_ = slow[0].SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := slow[0].Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the oldest connection is still open")
	}
}
