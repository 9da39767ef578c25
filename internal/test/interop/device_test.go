package interop_test

import (
	"fmt"
	"testing"
)

func TestPyshvDeviceAnswersThroughOurBroker(t *testing.T) {
	covers(t, pyDevice, ours, "get, set, errors, every type of value there and back")
	b := startBroker(t)
	mounted(t, b)
	c := connected(t, b.login())
	value := func(method string, param any) args {
		return args{"path": "test/device/value", "method": method, "param": param}
	}
	c.wants("call", value("get", nil), "0")
	c.wants("call", value("set", 42), "null")
	c.wants("call", value("get", nil), "42")
	c.wants("call", value("get", 1000), "42")
	c.fails("call", value("set", "text"), 3, "an Int, please")
	c.wants("call", args{"path": "test/device/.app", "method": "name"}, `"interop-device"`)
	c.wants("echo", args{"path": "test/device/values", "method": "echo"}, "[]")
}

// Each signal has another value, so the test sees those that are lost, repeated or late.
func TestSignalsOfAPyshvDeviceComeInOrderAndOnce(t *testing.T) {
	covers(t, pyDevice, ours, "subscribe, signals in order and once each, unsubscribe")
	b := startBroker(t)
	d := mounted(t, b)
	c := connected(t, b.login())
	// Two patterns that match the same signal, and one that does not.
	for _, ri := range []string{"test/**:*:*", "test/device/value:get:chng", "**:get:other"} {
		c.wants("subscribe", args{"ri": ri}, "true")
	}
	c.wants("subscribe", args{"ri": "test/**:*:*"}, "false")
	const count = 300
	d.must("burst", args{"count": count}, nil)
	c.must("call", args{"path": "test/device/value", "method": "set", "param": count}, nil)
	for i, e := range c.awaitEvents("signal", count+1) {
		if want := fmt.Sprintf("signal test/device/value:get:chng %d", i); e.String() != want {
			t.Fatalf("signal %d is %q, not %q", i, e, want)
		}
	}
	for _, ri := range []string{"test/**:*:*", "test/device/value:get:chng"} {
		c.wants("unsubscribe", args{"ri": ri}, "true")
	}
	c.wants("unsubscribe", args{"ri": "**:get:other"}, "true")
	d.must("burst", args{"count": 1}, nil)
	c.must("call", args{"path": "test/device/value", "method": "get"}, nil) // its answer arrives after the signal
	if events := c.awaitEvents("signal", count+1); len(events) != count+1 {
		t.Errorf("signals after the last unsubscribe: %v", events[count+1:])
	}
}

func TestPyshvReceivesMountSignals(t *testing.T) {
	covers(t, pyDevice, ours, "lsmod when a device is mounted and when it goes")
	b := startBroker(t)
	c := connected(t, b.login())
	c.wants("subscribe", args{"ri": "**:ls:lsmod"}, "true")
	d := mounted(t, b)
	d.must("disconnect", nil, nil)
	events := c.awaitEvents("signal", 2)
	for i, want := range []string{`signal :ls:lsmod {"test": true}`, `signal :ls:lsmod {"test": false}`} {
		if events[i].String() != want {
			t.Errorf("signal %d is %q, not %q", i, events[i], want)
		}
	}
}

// pyshv sends queries for a call that takes long, and must not make it again.
func TestLongCallOnAPyshvDeviceRunsOnce(t *testing.T) {
	covers(t, pyDevice, ours, "delayed answers: queries, progress, one run")
	b := startBroker(t)
	d := mounted(t, b)
	c := startPeer(t, "client.py")
	c.must("connect", args{"url": b.login(), "query": 0.05}, nil)
	var got struct {
		Result int
		Delays []float64
	}
	c.must("delayed", args{"path": "test/device/slow", "method": "run", "param": 3.0}, &got)
	if got.Result != 1 || len(got.Delays) < 10 || got.Delays[len(got.Delays)-1] < 0.5 {
		t.Errorf("result %d after the delays %v", got.Result, got.Delays)
	}
	d.wants("counts", nil, "[1, 0]")
	if b.count("i{abort:false}") == 0 {
		t.Error("pyshv sent no query")
	}
}

func TestAbortedCallIsStoppedOnAPyshvDevice(t *testing.T) {
	covers(t, pyDevice, ours, "abort of a call")
	b := startBroker(t)
	d := mounted(t, b)
	c := connected(t, b.login())
	id, answer := c.begin("call", args{"path": "test/device/slow", "method": "run", "param": 600.0})
	d.awaitEvents("started", 1)
	c.cancel(id)
	d.awaitEvents("stopped", 1)
	if r := c.await("call", answer); !r.Cancelled {
		t.Errorf("the call ended with %s, %v", r.Result, r.Error)
	}
	d.wants("counts", nil, "[1, 1]")
	c.must("ping", nil, nil)
}
