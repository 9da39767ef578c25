package interop_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pyshv treats a broker without a version as SHV 2, and then calls other nodes.
func TestPyshvTakesOurBrokerForShv3(t *testing.T) {
	covers(t, pyClient, ours, ".app: version, name, ping, date")
	c := connected(t, startBroker(t).login())
	c.wants("version", nil, "[3, 0]")
	c.wants("call", args{"path": ".app", "method": "name"}, `"shvbroker"`)
	c.wants("type_of", args{"path": ".app", "method": "version"}, `"str"`)
	c.wants("type_of", args{"path": ".app", "method": "date"}, `"datetime"`)
	c.wants("call", args{"path": ".app", "method": "ping"}, "null")
}

func TestPyshvBrowsesTheTree(t *testing.T) {
	covers(t, pyClient, ours, "ls and dir in each form, below a mounted device too")
	b := startBroker(t)
	mounted(t, b)
	c := connected(t, b.login())
	var names []string
	for path, want := range map[string]string{
		"":            ".app .broker test",
		".broker":     "app client currentClient",
		"test":        "device",
		"test/device": ".app .device slow value values",
	} {
		c.must("ls", args{"path": path}, &names)
		if slices.Sort(names); strings.Join(names, " ") != want {
			t.Errorf("ls of %q: %q, want %s", path, names, want)
		}
	}
	c.wants("has_child", args{"path": "", "name": "test"}, "true")
	c.wants("has_child", args{"path": "test", "name": "nosuch"}, "false")
	c.wants("has_child", args{"path": "test/device", "name": "value"}, "true")
	c.wants("has_method", args{"path": ".app", "name": "ping"}, "true")
	c.wants("has_method", args{"path": ".app", "name": "nosuch"}, "false")
	c.wants("has_method", args{"path": "test/device/value", "name": "set"}, "true")
	for _, details := range []bool{false, true} {
		for path, want := range map[string]string{
			"":                      "dir 1, ls 1 lsmod",
			"test":                  "dir 1, ls 1 lsmod",
			".broker/currentClient": "dir 1, ls 1 lsmod, info 1, subscribe 1, unsubscribe 1, brokersAbove 1, subscriptions 1",
			"test/device/value":     "dir 1, ls 1 lsmod, get 8 chng, set 16",
		} {
			var methods []struct {
				Name    string
				Access  int
				Signals []string
			}
			c.must("dir", args{"path": path, "details": details}, &methods)
			var got []string
			for _, m := range methods {
				got = append(got, strings.Join(append([]string{m.Name, strconv.Itoa(m.Access)}, m.Signals...), " "))
			}
			if text := strings.Join(got, ", "); !strings.HasPrefix(text, want) {
				t.Errorf("dir of %q: %s, want %s", path, text, want)
			}
		}
	}
	for _, path := range []string{"nosuch", "test/nosuch", "test/device/nosuch"} {
		c.fails("ls", args{"path": path}, 2)
		c.fails("call", args{"path": path, "method": "get"}, 2)
	}
	c.fails("call", args{"path": ".app", "method": "nosuch"}, 2, "nosuch")
}

// A node that treats a query as a call would run it a second time.
func TestQueryOfAnUnknownCallRunsNothing(t *testing.T) {
	covers(t, pyClient, "shvbroker and shvagent", "a query and an abort of an unknown call")
	b := startBroker(t)
	agent := startAgent(t, b.listens[0], "iot", "lub42DUB")
	c := connected(t, b.login())
	for path, method := range map[string]string{
		".app": "ping", ".broker/currentClient": "info", device: "launchRexec",
	} {
		for _, abort := range []bool{false, true} {
			c.fails("query", args{"path": path, "method": method, "abort": abort}, 14)
		}
	}
	if strings.Contains(agent.log.String(), "session") {
		t.Error("the agent treated a query as a call")
	}
}
