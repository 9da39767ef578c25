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

// began is when this process began, approximately.
var began = time.Now()

// Process returns the metrics of this process and of Go's runtime, with the names of the
// Prometheus library for Go. It leaves out what the system does not report.
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
	started := float64(began.UnixMilli()) / 1000
	r := readRuntime()
	fromRuntime := func(kind Type, name, help, metric string) Family {
		value, ok := r[metric]
		return one(kind, name, help, value, ok)
	}
	return []Family{
		one(Counter, "process_cpu_seconds_total", "CPU time of this process.", cpu, err == nil),
		one(Gauge, "process_resident_memory_bytes", "Resident memory.", resident, hasResident),
		one(Gauge, "process_open_fds", "Open file descriptors.", open, hasOpen),
		one(Gauge, "process_max_fds", "Limit of open file descriptors.", float64(limit.Cur), limitErr == nil),
		one(Gauge, "process_start_time_seconds", "Start time of this process, in seconds since 1970.", started, true),
		one(Gauge, "go_goroutines", "Goroutines.", float64(runtime.NumGoroutine()), true),
		fromRuntime(Gauge, "go_threads", "Operating system threads.", "/sched/threads/total:threads"),
		fromRuntime(Gauge, "go_memstats_heap_alloc_bytes", "Heap objects, including garbage that is not collected yet.",
			"/memory/classes/heap/objects:bytes"),
		fromRuntime(Gauge, "go_memstats_sys_bytes", "Memory that Go has obtained from the system.",
			"/memory/classes/total:bytes"),
		fromRuntime(Counter, "go_gc_cycles_total", "Garbage collections.", "/gc/cycles/total:gc-cycles"),
		fromRuntime(Counter, "go_gc_cpu_seconds_total", "CPU time of garbage collection, as of the latest collection.",
			"/cpu/classes/gc/total:cpu-seconds"),
	}
}

// readRuntime returns metrics of Go's runtime by their names in package runtime/metrics.
// Unlike runtime.ReadMemStats it does not stop the program.
func readRuntime() map[string]float64 {
	samples := []metrics.Sample{
		{Name: "/sched/threads/total:threads"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(samples)
	n := make(map[string]float64)
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

// openFiles returns the number of open file descriptors. Since version 6.2 Linux reports it
// as the size of the directory; with many clients, reading the directory takes long.
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
	return float64(len(names) - 1), err == nil // without d
}
