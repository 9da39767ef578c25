package agent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/agent"
	"shvtools/internal/test/world"
)

// mounted takes the next connection of the agent, as a broker of ours does.
func (w *brokerSide) mounted() {
	w.t.Helper()
	w.greet()
	w.Send(`<1:1,8:2>i{2:{"clientId":1}}`)
	w.Expect(`<1:1,8:3,9:".broker/currentClient",10:"info">i{}`)
	w.Send(`<1:1,8:3>i{2:{"clientId":1,"mountPoint":"test/agent"}}`)
	w.Expect(`<1:1,8:4,9:".broker/currentClient",10:"subscribe">i{1:".broker/currentClient:*:takeover"}`)
	w.Send(`<1:1,8:4>i{2:true}`)
}

func (w *brokerSide) takeover(param string) {
	w.t.Helper()
	w.Send(`<1:1,9:".broker/currentClient",10:"takeover",17:1>i{1:%s}`, param)
}

func TestDeviceThatIsReplacedSaysSo(t *testing.T) {
	t.Parallel()
	o, log := options(t), new(record)
	o.Status, o.Log = agent.NewStatus(time.Now), zerolog.New(log)
	w := started(t, o)
	w.mounted()
	status := func(what, want string) {
		t.Helper()
		world.Eventually(t, what, func() bool { r := o.Status.Report(); return r.Connected && r.Replaced == want })
	}
	status("it is called", "")
	for _, none := range []string{`7`, `{}`, `{"taken":"yes"}`, `null`} {
		w.takeover(none)
	}
	w.takeover(`{"taken":true,"clientId":9,"peer":"10.0.0.7:4711` + strings.Repeat("x", 1000) + `"}`)
	status("it is not called", "client 9 at 10.0.0.7:4711"+strings.Repeat("x", 100-len("10.0.0.7:4711")))
	w.takeover("{\"taken\":true,\"clientId\":9,\"peer\":\"a\x1b[2Jb\"}")
	status("a text of the broker is shown", "client 9 at a?[2Jb")
	w.takeover(`{"taken":false}`)
	status("it is called again", "")
	world.Eventually(t, "the log tells", func() bool {
		text := log.String()
		return strings.Contains(text, "mount point taken over: another device") &&
			strings.Contains(text, "mount point given back")
	})
	w.check(1, "", "appName", "null", `i{2:"shvagent"}`) // it has stayed connected
}

// Devices with one mount point must not displace each other for ever: the one that was replaced
// waits longer each time, however long its connection lasted.
func TestDeviceThatWasReplacedDoesNotFight(t *testing.T) {
	t.Parallel()
	o, log := options(t), new(record)
	o.Status, o.Log = agent.NewStatus(time.Now), zerolog.New(log)
	w := started(t, o)
	w.mounted()
	w.takeover(`{"taken":true,"clientId":9,"peer":"p"}`)
	world.Eventually(t, "it is not called", func() bool { return o.Status.Report().Replaced != "" })
	w.Close()
	world.Eventually(t, "why is told", func() bool {
		r := o.Status.Report()
		return !r.Connected && r.Replaced == "" &&
			strings.Contains(r.LastError, "another device is mounted in its place (client 9 at p, at test/agent)")
	})
	w.mounted()
	world.Eventually(t, "it is connected", func() bool { return o.Status.Report().Connected })
	if o.Status.Report().Replaced != "" {
		t.Error("it is still said to be replaced")
	}
}
