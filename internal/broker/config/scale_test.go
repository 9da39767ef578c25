package config_test

import (
	"crypto/sha1"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
)

const manyUsers = 20_000

// manyRights is a configuration with as many users, each with a role of its own.
func manyRights() string {
	var b strings.Builder
	b.WriteString("access:\n  users:\n")
	for i := range manyUsers {
		fmt.Fprintf(&b, "    user-%05d: {password: !Sha1 %x, roles: [role-%05d]}\n", i, sha1.Sum(fmt.Append(nil, i)), i)
	}
	b.WriteString("  roles:\n")
	for i := range manyUsers {
		fmt.Fprintf(&b, "    role-%05d: {access: [{shvRI: \"plant/%05d/**:*\", grant: cmd}, {shvRI: \"**:*\", grant: "+
			"bws}], mount-points: [\"plant/%05d/**\"]}\n", i, i, i)
	}
	return b.String()
}

// processorTime is what this process has used of the processor.
func processorTime(t *testing.T) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The bounds are 2 s and 80 MiB for the broker; a program of its own takes some
// 15 MiB. Processor time is measured, with slack for the race detector and for
// processors that others share.
func TestManyUsersLoadQuicklyAndLeaveLittle(t *testing.T) {
	const most = 45 << 20
	longest := 10 * time.Second
	if os.Getenv("SHV_RACE") != "" { // the race detector takes ten times as long, and more beside other work
		longest = 40 * time.Second
	}
	file := write(t, "f", manyRights())
	before := liveHeap()
	begun := processorTime(t)
	s := config.Sources{File: file}
	c := load(t, s)
	if took := processorTime(t) - begun; took > longest {
		t.Errorf("loading took %v of the processor", took)
	}
	if live := liveHeap() - before; live > most {
		t.Errorf("%d MiB are left of loading", live>>20)
	}
	inForce := c.Directory
	rights := config.NewRights(s, c, accept, func(d *auth.Directory) { inForce = d })
	for range 2 {
		begun = processorTime(t)
		if _, err := rights.Reload(accept); err != nil {
			t.Fatal(err)
		}
		if took := processorTime(t) - begun; took > longest {
			t.Errorf("a reload took %v of the processor", took)
		}
		if live := liveHeap() - before; live > most {
			t.Errorf("%d MiB are left of a reload", live>>20)
		}
	}
	if u := inForce.User("user-19999"); u == nil || len(u.Rules) != 2 || !u.MayMount([]byte("plant/19999/x")) {
		t.Errorf("the last user is %+v", u)
	}
	runtime.KeepAlive(c) // as the program has it
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
