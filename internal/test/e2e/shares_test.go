package e2e_test

import (
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	raw "shvtools/internal/test/world"
)

// number returns a number of the metrics at an address, 0 for none.
func number(t *testing.T, address, name string) (n int) {
	t.Helper()
	_, text := scrape(t, address, "/metrics")
	if m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text); m != nil {
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		n = int(f)
	}
	return n
}

// Bob reads none of his answers and finishes none of his messages. Nobody else notices.
func TestUserThatFillsTheMemoryKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	socket := filepath.Join(w.dir, "shv.sock")
	w.configuredBroker(strings.Replace(configured, "}]", "}, {url: 'unix:"+socket+"'}]", 1) +
		"metrics: {listen: '127.0.0.1:0'}\n" +
		"limits: {frame: 1MiB, queue: 1MiB, queue-total: 8MiB, frames-total: 8MiB, write-stall: 1h, frame-stall: 1h}\n")
	address := metricsOf(t, w.broker)
	w.setup = setup{agentOptions: []string{"--user", "device"}, agentEnv: []string{"SHV_PASSWORD=pw-device"}}
	w.startAgent()

	bob := func() *raw.Peer {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		return raw.NewPeer(t, conn).Login("bob", "pw-bob", "{}")
	}
	for range 20 {
		r := bob()
		filling := chainpack.String(strings.Repeat("x", 100<<10))
		for id := range 7 {
			r.SendRaw(raw.Frame(rpc.AppendRequest(nil, int64(id+3), ".broker/app", "echo", filling)))
		}
	}
	eventually(t, patience, "three quarters are full", func() bool {
		return number(t, address, "shvbroker_queued_bytes") >= 6<<20
	})
	begun := append(chainpack.AppendUIntData(nil, 1<<20), make([]byte, 900<<10)...)
	begun[len(begun)-900<<10] = 1
	for range 30 {
		go func(r *raw.Peer) { _, _ = r.Conn.Write(begun) }(bob())
	}
	const ended = `shvbroker_connections_ended_total{cause="too much memory in unfinished messages"}`
	eventually(t, patience, "unfinished messages are refused", func() bool { return number(t, address, ended) >= 15 })

	r := w.finish(w.as("bob", "true"))
	if r.code != 255 || !strings.Contains(string(r.stderr), "user bob has more than an even part") {
		t.Errorf("bob: %d, %s", r.code, r.stderr)
	}
	cmd := w.as("eva", "wc", "-c")
	cmd.Stdin = strings.NewReader(strings.Repeat("y", 3<<20))
	if r = w.finish(cmd); r.code != 0 || strings.TrimSpace(string(r.stdout)) != strconv.Itoa(3<<20) {
		t.Errorf("eva: %d, %s%s", r.code, r.stdout, r.stderr)
	}
	w.kill(w.agent)
	w.startAgent()
	if r = w.finish(w.as("eva", "echo", "back")); string(r.stdout) != "back\n" {
		t.Errorf("after the agent came back: %d, %s%s", r.code, r.stdout, r.stderr)
	}
	for name, most := range map[string]int{"shvbroker_queued_bytes": 8 << 20, "shvbroker_unfinished_bytes": 8 << 20} {
		if n := number(t, address, name); n > most || n < most/2 {
			t.Errorf("%s %d, at most %d", name, n, most)
		}
	}
}
