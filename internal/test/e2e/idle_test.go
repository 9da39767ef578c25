package e2e_test

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	// small is the most memory that an idle agent may have, in KiB. smallRoom is how much
	// it may grow by sessions that have ended.
	small     = 15 << 10
	smallRoom = 3 << 10
)

// An idle agent must be small, also after many sessions.
func TestIdleAgentIsSmall(t *testing.T) {
	if race {
		t.Skip("the race detector takes much memory")
	}
	t.Parallel()
	w := setup{agentOptions: []string{"--heartbeat", "1s"}}.start(t)
	w.stillServes()
	sized := func(limit int) {
		t.Helper()
		now := 0
		defer func() { t.Logf("%d KiB, at most %d", now, limit) }()
		eventually(t, patience, "the agent is small", func() bool {
			now = resident(w.agent.pid())
			return now > 0 && now <= limit
		})
	}
	sized(small)
	before := resident(w.agent.pid())
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for range 25 {
				if r := w.rsh("true"); r.code != 0 {
					t.Errorf("a session: %d, %s", r.code, r.stderr)
				}
			}
		})
	}
	users.Wait()
	sized(min(small, before+smallRoom))
}

var switchesLine = regexp.MustCompile(`(?m)^voluntary_ctxt_switches:\s*(\d+)$`)

// switches returns how often the threads of a process gave up the processor. Each wake-up
// ends with that; on a busy machine it may take several turns.
func switches(t testing.TB, p *process) (n int) {
	t.Helper()
	threads := threadsOf(p.pid())
	for _, thread := range threads {
		for _, m := range switchesLine.FindAllStringSubmatch(procFile(p.pid(), "task/"+thread+"/status"), -1) {
			count, _ := strconv.Atoi(m[1])
			n += count
		}
	}
	if n == 0 {
		t.Fatalf("%s: nothing is known of its threads %q", p.Name, threads)
	}
	return n
}

// Each wake-up costs battery on some devices.
func TestIdleAgentWakesOnlyForItsHeartbeat(t *testing.T) {
	t.Parallel()
	w := setup{agentOptions: []string{"--heartbeat", "1s"}}.start(t)
	beating := w.agent
	w.setup.agentOptions = []string{"--heartbeat", "1h", "--socket", "none"}
	w.startAgentWith("--mount", "test/still", "--url", w.url)
	still := w.agent
	beats := func() int { return strings.Count(w.journal(), `method:"ping"`) }
	// The rest of the start may take a while on a busy machine.
	const count = 5
	var each, idle int
	defer func() { t.Logf("%d switches for a heartbeat, %d in that time of %d without one", each, idle, count) }()
	eventually(t, patience, "nothing but heartbeats", func() bool {
		first, before := beats(), []int{switches(t, beating), switches(t, still)}
		eventually(t, patience, "heartbeats", func() bool { return beats() >= first+count })
		each, idle = (switches(t, beating)-before[0])/count, switches(t, still)-before[1]
		return each <= 40 && idle <= 10
	})
}
