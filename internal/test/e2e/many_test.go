package e2e_test

import (
	"fmt"
	"sync"
	"testing"
)

func TestManyCommandsLoseAndLeaveNothing(t *testing.T) {
	t.Parallel()
	count, size := 500, 10_000
	if long {
		count = 10_000
	}
	w := setup{}.start(t)
	w.stillServes() // opens what stays open after the first session
	eventually(t, patience, "the helper ends", func() bool { return len(w.sessionsLeft()) == 0 })
	before := []int{descriptors(t, w.broker.pid()), descriptors(t, w.agent.pid())}

	numbers := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range numbers {
				r := w.rsh(fmt.Sprintf("echo out %d; echo err %d >&2; head -c %d /dev/zero; exit %d", i, i, size, i%200))
				stdout := fmt.Sprintf("out %d\n%s", i, make([]byte, size))
				if r.code != i%200 || string(r.stdout) != stdout || string(r.stderr) != fmt.Sprintf("err %d\n", i) {
					t.Errorf("command %d: exit code %d, %d bytes of stdout, stderr %q", i, r.code, len(r.stdout), r.stderr)
				}
			}
		})
	}
	for i := range count {
		numbers <- i
	}
	close(numbers)
	workers.Wait()

	eventually(t, patience, "all helpers and their processes end", func() bool { return len(w.sessionsLeft()) == 0 })
	eventually(t, patience, "all descriptors are closed", func() bool {
		return descriptors(t, w.broker.pid()) <= before[0] && descriptors(t, w.agent.pid()) <= before[1]
	})
}
