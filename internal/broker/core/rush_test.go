package core_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/test/world"
)

// A fleet reconnects at once after a blackout: no device is lost, and the memory of those
// that go is freed.
func TestRushOfClientsLosesNobodyAndLeavesNothing(t *testing.T) {
	clients := 500
	if os.Getenv("SHV_LONG") == "1" {
		clients = 9500 // both ends of each are this process's, which has 20 000 descriptors
	}
	w := world.New(t, core.Options{Log: zerolog.Nop()})
	at := w.Listen("tcp://127.0.0.1:0").Address()
	rush := func() (grown int64) {
		before := inUse()
		remotes := make([]*world.Peer, clients)
		var group sync.WaitGroup
		for i := range remotes {
			group.Go(func() {
				// Of more than DefaultUnauthenticated at once some are refused. They try
				// again as devices do, each time a little later.
				var err error
				for wait, end := time.Millisecond, time.Now().Add(world.Patience); time.Now().Before(end); wait *= 2 {
					if remotes[i], err = rushIn(at, i); err == nil {
						return
					}
					time.Sleep(rand.N(wait)) // in real time, which is that of the network
				}
				t.Errorf("client %d is lost: %v", i, err)
			})
		}
		group.Wait()
		// Refused connections may be counted a little longer.
		w.Eventually("none but the devices are there", func() bool { return w.Stats().Clients <= clients })
		if s := w.Stats(); s.Clients != clients || s.Mounts != clients {
			t.Errorf("%d clients and %d mounts of %d", s.Clients, s.Mounts, clients)
		}
		for _, r := range remotes {
			if r != nil {
				r.Close()
			}
		}
		w.Eventually("all have gone", func() bool { s := w.Stats(); return s.Clients+s.Mounts == 0 })
		clear(remotes)
		return inUse() - before
	}
	rush() // maps and what is remembered of mount points get their size
	const most = 1 << 10
	// What is lost is lost each time; a map that grew once more is not.
	grown := rush()
	for tries := 0; tries < 3 && grown > int64(clients)*most; tries++ {
		grown = rush()
	}
	if grown > int64(clients)*most {
		t.Errorf("%d clients left %d bytes", clients, grown)
	}
}

// rushIn connects from one of many addresses and logs in as a device.
func rushIn(to string, n int) (*world.Peer, error) {
	d := net.Dialer{Timeout: world.Patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 2, 0, byte(1+n%100))}}
	conn, err := d.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	r := &world.Peer{Conn: conn, In: bufio.NewReaderSize(conn, 256)}
	if err := tryLogin(r, fmt.Sprintf("test/%d", n)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return r, nil
}

// tryLogin logs in and mounts, from any goroutine.
func tryLogin(r *world.Peer, mountPoint string) error {
	_ = r.Conn.SetDeadline(time.Now().Add(world.Patience))
	for _, text := range []string{
		`<1:1,8:1,10:"hello">i{}`,
		fmt.Sprintf(`<1:1,8:2,10:"login">i{1:{"login":{"user":"iot","password":"%s","type":"PLAIN"},`+
			`"options":{"device":{"mountPoint":"%s"}}}}`, world.Password, mountPoint),
	} {
		v, err := cpon.Parse([]byte(text), chainpack.Limits{})
		if err != nil {
			return err
		}
		if _, err := r.Conn.Write(world.Frame(chainpack.Append(nil, v))); err != nil {
			return err
		}
		if _, err := r.Read(); err != nil {
			return err
		}
	}
	return nil
}

// inUse returns the bytes of heap and stack in use after a collection.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
