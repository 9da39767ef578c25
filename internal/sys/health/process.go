package health

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// began is when this process began, as good as it matters.
var began = time.Now()

// Process gives the numbers of this process and of Go's runtime, by the names that
// Prometheus's own library gives them where it has them. What the system does not
// tell is left out.
func Process() []Family {
	one := func(kind Type, name, help string, value float64, ok bool) Family {
		f := Family{Name: name, Help: help, Type: kind}
		if ok {
			f.Samples = []Sample{{Value: value}}
		}
		return f
	}
	var usage unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &usage)
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	resident, hasResident := residentBytes()
	open, hasOpen := openFiles()
	var limit unix.Rlimit
	limitErr := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	r := readRuntime()
	return []Family{
		one(Counter, "process_cpu_seconds_total", "Time that the processors worked for this process.", cpu, err == nil),
		one(Gauge, "process_resident_memory_bytes", "Memory that this process holds.", resident, hasResident),
		one(Gauge, "process_open_fds", "Open file descriptors.", open, hasOpen),
		one(Gauge, "process_max_fds", "File descriptors that may be open.", float64(limit.Cur), limitErr == nil),
		one(Gauge, "process_start_time_seconds", "When this process began, since 1970.", float64(began.UnixMilli())/1000, true),
		one(Gauge, "go_goroutines", "Goroutines.", float64(runtime.NumGoroutine()), true),
		one(Gauge, "go_threads", "Threads of the system.", r["/sched/threads/total:threads"], r.has("/sched/threads/total:threads")),
		one(Gauge, "go_memstats_heap_alloc_bytes", "Memory in objects, those included that are not collected yet.", r["/memory/classes/heap/objects:bytes"], r.has("/memory/classes/heap/objects:bytes")),
		one(Gauge, "go_memstats_sys_bytes", "Memory that Go has from the system.", r["/memory/classes/total:bytes"], r.has("/memory/classes/total:bytes")),
		one(Counter, "go_gc_cycles_total", "Collections of garbage.", r["/gc/cycles/total:gc-cycles"], r.has("/gc/cycles/total:gc-cycles")),
		one(Counter, "go_gc_cpu_seconds_total", "Time that processors collected garbage, as the latest collection saw it.", r["/cpu/classes/gc/total:cpu-seconds"], r.has("/cpu/classes/gc/total:cpu-seconds")),
	}
}

// numbers are those of the runtime, by their names there.
type numbers map[string]float64

func (n numbers) has(name string) bool { _, ok := n[name]; return ok }

// readRuntime does not stop the program, as runtime.ReadMemStats does.
func readRuntime() numbers {
	samples := []metrics.Sample{
		{Name: "/sched/threads/total:threads"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(samples)
	n := make(numbers)
	for _, s := range samples {
		switch s.Value.Kind() {
		case metrics.KindUint64:
			n[s.Name] = float64(s.Value.Uint64())
		case metrics.KindFloat64:
			n[s.Name] = s.Value.Float64()
		}
	}
	return n
}

// residentBytes reads the second field of /proc/self/statm, in pages.
func residentBytes() (float64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return float64(pages) * float64(os.Getpagesize()), err == nil
}

// openFiles counts them. Linux tells the number as the size of the directory from
// version 6.2 on; with many clients, reading it takes long.
func openFiles() (float64, bool) {
	const dir = "/proc/self/fd"
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 {
		return float64(info.Size()), true
	}
	d, err := os.Open(dir)
	if err != nil {
		return 0, false
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	return float64(len(names) - 1), err == nil // but for d
}
