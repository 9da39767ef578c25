package agent_test

import (
	"strings"
	"testing"

	"shvtools/internal/device/fsnode"
)

// Numbers at the limits of what the wire carries: an int of a device has 32 bits. A decimal
// with the largest exponent ended an agent, and all sessions on the device.
func TestNoNumberOfACallerEndsTheAgent(t *testing.T) {
	o := options(t)
	o.Files = fsnode.Options{Dir: t.TempDir()}
	o.Tester = true
	c := caller(t, o)
	const at = "test/agent"
	for _, n := range []string{
		"1e2147483647", "1e-2147483648", "-9223372036854775808e2147483647", "9223372036854775807", "-9223372036854775808",
		"18446744073709551615u", "2147483648", "-2147483649", "4294967296", "0x1.fp1023",
	} {
		for _, one := range [][3]string{
			{at, "runCmd", `["true",` + n + `]`},
			{at, "runCmd", n},
			{at, "runScript", `["true",` + n + `]`},
			{at, "launchRexec", `{"method":"runPtyCmd","params":[["uptime"],80,` + n + `]}`},
			{at, "launchRexec", `{"method":"runPtyCmd","params":["/bin/sh",` + n + `,` + n + `]}`},
			{at, "launchRexec", `{"method":"runPtyCmd","ext":{"version":` + n + `,"window":` + n + `,"run":{"exec":"true"}}}`},
			{at, "launchRexec", `{"method":` + n + `,"params":` + n + `,"ext":` + n + `}`},
			{at, "dir", n},
			{at, "ls", n},
			{at + "/sys/fs", "ls", n},
			{at + "/sys/fs/f", "write", `[` + n + `,"x"]`},
			{at + "/sys/fs/f", "read", `[` + n + `,` + n + `]`},
			{at + "/sys/fs/f", "read", `{"offset":` + n + `,"size":` + n + `}`},
			{at + "/sys/fs/f", "truncate", n},
			{at + "/.device", "uptime", n},
			{at + "/tester", "dir", n},
		} {
			if got := call(t, c, one[0], one[1], one[2]); strings.Contains(got, "internal error") {
				t.Errorf("%s %v: %s", n, one, got)
			}
		}
	}
	if got := call(t, c, at, "appName", "null"); got != `"shvagent"` {
		t.Errorf("the agent answers %s", got)
	}
}
