package sdnotify

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// systemd is a socket that replaces systemd's.
func systemd(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func told(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func environ(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestMessages(t *testing.T) {
	for name, socket := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": fmt.Sprintf("@shv-sdnotify-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			conn := systemd(t, socket)
			n := FromEnviron(environ(map[string]string{"NOTIFY_SOCKET": socket}))
			for _, tt := range []struct {
				err  error
				want string
			}{
				{n.Ready("serving\nMAINPID=1"), `^READY=1\nSTATUS=serving MAINPID=1$`},
				{n.Reloading(), `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*$`},
				{n.Status("well"), `^STATUS=well$`},
				{n.Stopping("bye", 90*time.Second), `^STOPPING=1\nSTATUS=bye\nEXTEND_TIMEOUT_USEC=90000000$`},
			} {
				if tt.err != nil {
					t.Fatal(tt.err)
				}
				if got := told(t, conn); !regexp.MustCompile(tt.want).MatchString(got) {
					t.Errorf("got %q, want %s", got, tt.want)
				}
			}
		})
	}
}

// A reload while a service stops must not have systemd take it for one that runs.
func TestNothingIsToldAfterStopping(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn := systemd(t, socket)
	n := FromEnviron(environ(map[string]string{"NOTIFY_SOCKET": socket}))
	_ = n.Stopping("first", 0)
	_ = n.Reloading()
	_ = n.Ready("serving")
	_ = n.Status("serving")
	_ = n.Stopping("last", 0)
	told(t, conn)
	if got := told(t, conn); !strings.Contains(got, "STATUS=last") {
		t.Errorf("told %q", got)
	}
}

func TestNobodyAsks(t *testing.T) {
	for _, socket := range []string{"", "relative", "vsock:2:1"} {
		n := FromEnviron(environ(map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "1000"}))
		if n.socket != "" || n.watchdog != 0 || n.Ready("") != nil {
			t.Errorf("%q: sends to %q", socket, n.socket)
		}
	}
}

func TestWatchdogOfWhom(t *testing.T) {
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"3000000", "", 3 * time.Second},
		{"3000000", fmt.Sprint(os.Getpid()), 3 * time.Second},
		{"3000000", "1", 0},
		{"-1", "", 0}, {"x", "", 0}, {"9223372036854775807", "", 0},
	} {
		n := FromEnviron(environ(map[string]string{"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": tt.usec, "WATCHDOG_PID": tt.pid}))
		if n.watchdog != tt.want {
			t.Errorf("%+v: %v", tt, n.watchdog)
		}
	}
}

// A broker that is stuck must be found out.
func TestWatchdogIsFedWhileHealthyOnly(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn := systemd(t, socket)
	n := FromEnviron(environ(map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "2000"}))
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int64
	sick := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Watch(ctx, func() bool {
			switch count := asked.Add(1); {
			case count == 5:
				close(sick)
			case count < 5:
				return true
			}
			return false
		})
	}()
	<-sick
	cancel()
	<-ended
	for range 4 {
		if got := told(t, conn); got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := conn.Read(make([]byte, 10)); err == nil {
		t.Errorf("fed once more, %d bytes", n)
	}
}
