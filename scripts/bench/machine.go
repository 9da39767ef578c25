package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine says where the figures were taken.
func machine() string {
	kernel := "?"
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	return fmt.Sprintf("%s, %d cores, Linux %s, %s %s", cpuModel(), runtime.NumCPU(), kernel, runtime.Version(), runtime.GOARCH)
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "scripts/commit.sh").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
