package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shvtools/internal/test/proctest"
)

// eventually waits for limit at most until done reports true, and fails the test if it
// does not.
func eventually(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	if !proctest.Until(limit, done) {
		t.Fatalf("%s: not within %v", what, limit)
	}
}

// processes returns the ids of all processes that match accepts.
func processes(match func(pid int) bool) []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && match(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// procFile returns a file of /proc/PID; "" if the process is gone.
func procFile(pid int, name string) string {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	return string(text)
}

// commandLine returns the arguments of a process, separated by spaces. A zombie has none.
func commandLine(pid int) string {
	return strings.ReplaceAll(strings.TrimSuffix(procFile(pid, "cmdline"), "\x00"), "\x00", " ")
}

// living returns the processes with that command line.
func living(command string) []int {
	return processes(func(pid int) bool { return commandLine(pid) == command })
}

// parentOf returns the parent: the fourth field of stat, the second after the name.
func parentOf(pid int) int {
	stat := procFile(pid, "stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// childrenOf returns the children of a process that run the program.
func childrenOf(parent int, program string) []int {
	return processes(func(pid int) bool {
		words := strings.Split(procFile(pid, "cmdline"), "\x00")
		return parentOf(pid) == parent && words[0] == program
	})
}

// withVariable returns the processes whose environment has that entry.
func withVariable(entry string) []int {
	return processes(func(pid int) bool {
		return slices.Contains(strings.Split(procFile(pid, "environ"), "\x00"), entry)
	})
}

// threadsOf returns the ids of the threads of a process.
func threadsOf(pid int) (ids []string) {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

func descriptors(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// awaitReaped waits until a process is reaped. A process without a command line may still
// have its pipes.
func awaitReaped(t testing.TB, pid int) {
	t.Helper()
	eventually(t, patience, strconv.Itoa(pid)+" is reaped", func() bool { return procFile(pid, "stat") == "" })
}

var markers atomic.Int64

// marker returns a command line that runs for long, and that no other process has.
func marker() string {
	return fmt.Sprintf("sleep 98765.%d%04d", os.Getpid(), markers.Add(1))
}

// awaitStart waits until the command of a marker runs, and returns its process.
func awaitStart(t testing.TB, command string) int {
	t.Helper()
	var pids []int
	eventually(t, patience, command+" starts", func() bool {
		pids = living(command)
		return len(pids) == 1
	})
	return pids[0]
}

// awaitEnd waits until the command of a marker is gone.
func awaitEnd(t testing.TB, limit time.Duration, command string) {
	t.Helper()
	eventually(t, limit, command+" ends", func() bool { return len(living(command)) == 0 })
}
