package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

var servedAt = regexp.MustCompile(`address=(\S+)`)

// watchedWorld starts a world whose broker serves metrics, and returns their URL.
func watchedWorld(t *testing.T, options ...string) (w *world, address string) {
	t.Helper()
	w = setup{brokerOptions: append([]string{"--metrics-listen", "127.0.0.1:0"}, options...)}.start(t)
	return w, metricsOf(t, w.broker)
}

// metricsOf returns the URL of the metrics of a broker.
func metricsOf(t *testing.T, broker *process) (address string) {
	t.Helper()
	return servedAt.FindStringSubmatch(broker.says(t, "metrics and health"))[1]
}

// scrape returns the text at a path.
func scrape(t *testing.T, address, path string) (code int, text string) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(body)
}

func TestMetricsOfARunningBroker(t *testing.T) {
	t.Parallel()
	w, address := watchedWorld(t)
	if r := w.rsh("head -c 100000 /dev/zero"); r.code != 0 {
		t.Fatal(r.code, string(r.stderr))
	}
	if _, text := scrape(t, address, "/readyz"); text != "ok\n" {
		t.Errorf("/readyz: %s", text)
	}
	_, text := scrape(t, address, "/metrics")
	for _, want := range []string{
		`(?m)^shvbroker_build_info\{version="[^"]+",commit="[^"]+",goversion="go[^"]+"\} 1$`,
		`(?m)^shvbroker_connections\{listener="` + w.url + `"\} [1-9]`,
		`(?m)^shvbroker_logins_total\{result="accepted helper"\} 1$`,
		`(?m)^shvbroker_login_duration_seconds_bucket\{le="\+Inf"\} [1-9]`,
		`(?m)^shvbroker_tunnels_opened_total 1$`,
		`(?m)^shvbroker_tunnel_bytes_total\{to="client"\} 1\d{5}$`,
		`(?m)^process_open_fds [1-9]\d*$`,
		`(?m)^process_resident_memory_bytes [1-9]`,
		`(?m)^process_cpu_seconds_total \d`,
		`(?m)^go_memstats_heap_alloc_bytes [1-9]`,
		`(?m)^go_gc_cycles_total \d+$`,
		`(?m)^go_threads [1-9]`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// A client of the metrics must not use up descriptors or memory of the broker, and must
// not disturb sessions.
func TestSlowScrapersDoNotHurtTheBroker(t *testing.T) {
	t.Parallel()
	w, address := watchedWorld(t)
	count := func() int { files, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.broker.pid())); return len(files) }
	before := count()
	var slow []net.Conn
	for i := range 100 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		slow = append(slow, c)
		request := "GET /metrics HTTP/1.1\r\nHost: x\r\n" // without its end
		if i%2 == 0 {
			request += "\r\n" // whole, but the answer is not read
		}
		_, _ = c.Write([]byte(request))
	}
	w.rsh("echo alive").wants(t, 0, "alive\n", "")
	if open := count(); open > before+70 { // the service holds 64 at once
		t.Errorf("%d descriptors, %d before", open, before)
	}
	for _, c := range slow {
		_ = c.Close()
	}
	eventually(t, patience, "the metrics are served again", func() bool {
		code, _ := scrape(t, address, "/metrics")
		return code == 200
	})
}

// On other addresses than loopback, everybody can read the metrics.
func TestMetricsOffLoopbackCauseAWarning(t *testing.T) {
	t.Parallel()
	for address, warned := range map[string]bool{"127.0.0.1:0": false, "[::1]:0": false, "0.0.0.0:0": true} {
		w := newWorld(t)
		w.setup.brokerOptions = []string{"--metrics-listen", address}
		w.startBroker("tcp://127.0.0.1:0")
		line := w.broker.says(t, "metrics and health")
		if strings.Contains(line, "WRN") != warned || strings.Contains(line, "risk") != warned {
			t.Errorf("%s: %s", address, line)
		}
	}
}

// Devices below a child broker are lost to users if its connection to the parent is lost.
func TestMetricsShowTheParentBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	top, url := w.startTreeBroker(treeBroker{name: "top", listen: "tcp://127.0.0.1:0"})
	child, _ := w.startTreeBroker(treeBroker{
		name: "child", listen: "tcp://127.0.0.1:0", up: url, mount: "kid",
		options: []string{"--metrics-listen", "127.0.0.1:0"},
	})
	address := metricsOf(t, child)
	await := func(connected, connects int) {
		t.Helper()
		eventually(t, patience, fmt.Sprintf("connected %d, %d times", connected, connects), func() bool {
			_, text := scrape(t, address, "/metrics")
			return strings.Contains(text, fmt.Sprintf("shvbroker_uplink_connected{connection=\"up\"} %d\n", connected)) &&
				strings.Contains(text, fmt.Sprintf("shvbroker_uplink_connects_total{connection=\"up\"} %d\n", connects))
		})
	}
	await(1, 1)
	top.Stop(t)
	await(0, 1)
	w.startTreeBroker(treeBroker{name: "top", listen: url})
	await(1, 2)
}
