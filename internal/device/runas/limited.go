package runas

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/policy"
)

// LimitedFlag makes shvrexec call Limited. A process can set umask and resource limits
// only for itself, and those of a session must not apply to the agent or the helper.
const LimitedFlag = "limited"

// resources are the numbers of policy.ResourceNames.
var resources = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU,
	"data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE, "memlock": unix.RLIMIT_MEMLOCK,
	"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "stack": unix.RLIMIT_STACK,
}

// limitsText returns the argument of LimitedFlag; "" if there is nothing to limit.
func limitsText(g *policy.Grant) string {
	var parts []string
	if g.Umask >= 0 {
		parts = append(parts, fmt.Sprintf("umask=0%o", g.Umask))
	}
	for _, name := range policy.ResourceNames() {
		if n, ok := g.Resources[name]; ok {
			parts = append(parts, fmt.Sprintf("%s=%d", name, n))
		}
	}
	return strings.Join(parts, ",")
}

// Limited sets limits for this process and then becomes another program. args are the
// limits, the program's path and its argv. It returns only on failure.
func Limited(args, environ []string) error {
	if len(args) < 3 {
		return errors.New("--" + LimitedFlag + " needs limits, a program and its arguments")
	}
	for part := range strings.SplitSeq(args[0], ",") {
		name, text, _ := strings.Cut(part, "=")
		n, err := strconv.ParseUint(text, 0, 64)
		if err == nil {
			err = limit(name, n)
		}
		if err != nil {
			return fmt.Errorf("cannot set the limit %s: %w", part, err)
		}
	}
	if err := syscall.Exec(args[1], args[2:], environ); err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	return nil
}

func limit(name string, n uint64) error {
	if name == "umask" {
		syscall.Umask(int(n & 0o777))
		return nil
	}
	resource, ok := resources[name]
	if !ok {
		return errors.New("unknown limit")
	}
	var now syscall.Rlimit
	if err := syscall.Getrlimit(resource, &now); err != nil {
		return err
	}
	// The system may allow less.
	n = min(n, uint64(now.Max), math.MaxInt64)
	now.Cur, now.Max = n, n
	return syscall.Setrlimit(resource, &now)
}
