package replay

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/test/world"
)

// patience is how long the player waits for a message, in virtual time.
const patience = 5 * time.Second

// closed represents the end of a connection when messages are compared.
const closed = "closed"

// player plays all clients of a scenario against a broker and compares what each of them
// receives. It keeps the recorded order and the recorded times, which are virtual.
type player struct {
	t        *testing.T
	broker   *core.Broker
	listener *world.Listener // at the address that the recorded broker announced
	book     *book
	differs  []deviation
	kill     bool // the scenario kills the broker

	began   time.Time
	behind  time.Duration // how late the clock is, compared with the recorded one
	acted   atomic.Int64  // when the player took its last step, since began
	clients map[string]*played
}

// played is a client's connection.
type played struct {
	name    string
	conn    net.Conn
	arrived chan arrival
	helper  bool // it logged in to a tunnel
	over    bool // either side has closed
}

// arrival is a message or the end of the connection.
type arrival struct {
	payload []byte
	end     error
	after   time.Duration // since the player's last step
}

func (p *player) play(events []event) {
	p.began = time.Now()
	for _, e := range events {
		if p.t.Failed() {
			return // more differences would only follow from the first
		}
		p.step(e)
	}
}

func (p *player) step(e event) {
	c := p.clients[e.conn]
	switch e.kind {
	case opens:
		p.act(e.at)
		p.open(e.conn)
	case sends:
		p.act(e.at)
		p.send(c, e)
	case receives:
		p.receive(c, e.number, e.frames[0], false)
	case isClosed:
		if c.over {
			return
		}
		if p.kill {
			p.act(e.at)
			p.kill = false
			p.broker.Close()
		}
		p.receive(c, end, nil, true)
	case hangsUp:
		p.hangUp(c, e.at)
	}
	synctest.Wait()
}

// await sleeps until a recorded time, plus the time by which the broker's answers were
// late. Time is virtual, and the recorded pauses belong to the scenario.
func (p *player) await(at time.Duration) {
	if left := time.Until(p.began.Add(at + p.behind)); left >= 0 {
		time.Sleep(left)
	} else {
		p.behind -= left
	}
	synctest.Wait()
}

// act waits for the recorded time of a step and begins it.
func (p *player) act(at time.Duration) {
	p.await(at)
	p.acted.Store(int64(time.Since(p.began)))
}

func (p *player) sinceActed() time.Duration {
	return time.Since(p.began) - time.Duration(p.acted.Load())
}

func (p *player) open(name string) {
	conn, err := p.listener.Dial("127.0.0.1:50000")
	if err != nil {
		p.t.Fatal(err)
	}
	c := &played{name: name, conn: conn, arrived: make(chan arrival, 1000)}
	p.clients[name] = c
	go func() {
		in := bufio.NewReader(c.conn)
		for {
			payload, err := readFrame(in)
			c.arrived <- arrival{payload, err, p.sinceActed()}
			if err != nil {
				return
			}
		}
	}()
}

// send writes what the client wrote at once. As with a socket, that also works if the
// broker has closed the connection.
func (p *player) send(c *played, e event) {
	var wire []byte
	for _, frame := range e.frames {
		if v, ok := message(frame); ok {
			v, err := p.book.rewrite(c.name, v)
			if err != nil {
				p.t.Errorf("%s: frame %d to the broker: %v", c.name, e.number, err)
			}
			c.helper = c.helper || !at(v, 1, "options", "tunnel").IsNull()
			frame = payload(v)
		}
		wire = appendFrame(wire, frame)
	}
	if _, err := c.conn.Write(wire); err != nil && !c.over {
		p.t.Logf("%s: frame %d to the broker: %v", c.name, e.number, err)
	}
}

// hangUp closes a client's connection after the client has received everything.
func (p *player) hangUp(c *played, at time.Duration) {
	p.await(at)
	if !c.over {
		p.receive(c, end, nil, false)
	}
	p.act(at)
	c.over = true
	_ = c.conn.Close()
}

// receive compares what a client receives with the recorded frame, or with the deviation
// for it. At the end of a connection, byBroker says that the recorded broker closed it.
func (p *player) receive(c *played, number int, recorded []byte, byBroker bool) {
	place := c.name + " " + strconv.Itoa(number)
	if number == end {
		place = c.name + " end"
	}
	for _, want := range p.wanted(c, place, recorded, byBroker) {
		got := p.take(c)
		switch {
		case got == nil:
			p.t.Errorf("%s: nothing came, want %s", place, want)
			return
		case got.end != nil:
			c.over = true
			if want.text != closed {
				p.t.Errorf("%s: closed, want %s", place, want)
				return
			}
		default:
			p.compare(place, c, got.payload, want)
		}
		if got.after != want.after {
			p.t.Errorf("%s: came after %v, want %s", place, got.after, want)
		}
	}
	if number != end || c.over {
		return
	}
	synctest.Wait()
	select {
	case more := <-c.arrived:
		if more.end != nil {
			p.t.Errorf("%s: closed by the broker after %v", place, more.after)
			return
		}
		p.t.Errorf("%s: after %v came too much: %s", place, more.after, show(more.payload))
	default:
	}
}

func (p *player) take(c *played) *arrival {
	select {
	case got := <-c.arrived:
		return &got
	case <-time.After(patience):
		return nil
	}
}

// compare checks one message and learns from it.
func (p *player) compare(place string, c *played, got []byte, want answer) {
	if want.raw != nil {
		if string(want.raw) != string(got) {
			p.t.Errorf("%s: got % x, want % x", place, got, want.raw)
		}
		return
	}
	v, ok := message(got)
	if want.text == closed || !ok {
		p.t.Errorf("%s: got %s, want %s", place, show(got), want)
		return
	}
	if err := p.book.learn(c.name, want.value, v); err != nil {
		p.t.Errorf("%s: %v", place, err)
		return
	}
	expected, err := p.book.rewrite(c.name, want.value)
	if err != nil {
		p.t.Errorf("%s: %v", place, err)
	}
	if !matches(expected, v) {
		p.t.Errorf("%s:\n got %s\nwant %s", place, cpon.String(v), cpon.String(expected))
	}
}

// matches compares two values. The String "*" in want stands for any String, time or
// number.
func matches(want, got chainpack.Value) bool {
	if text, ok := want.AsString(); ok && text == "*" {
		text, ok = got.AsString()
		return ok && text != "" || got.Kind() == chainpack.KindInt || got.Kind() == chainpack.KindDateTime
	}
	if want.Len() == 0 || want.Len() != got.Len() || want.Kind() != got.Kind() {
		return want.Equal(got)
	}
	for i, w := range want.Items() {
		if !matches(w, got.At(i)) {
			return false
		}
	}
	return sameEntries(want.Entries(), got.Entries()) && sameEntries(want.Meta(), got.Meta())
}

func sameEntries(want, got []chainpack.Entry) bool {
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		if w.Key != got[i].Key || !matches(w.Value, got[i].Value) {
			return false
		}
	}
	return true
}

func show(payload []byte) string {
	if v, ok := message(payload); ok {
		return cpon.String(v)
	}
	return fmt.Sprintf("% x", payload)
}

// finish checks that nothing is left over.
func (p *player) finish() {
	for _, d := range p.differs {
		if !d.seen && !p.t.Failed() {
			p.t.Errorf("the deviation at %s did not happen (%s): %q", d.place, d.rule, d.sends)
		}
	}
	for _, c := range p.clients {
		_ = c.conn.Close()
	}
	p.broker.Close()
	synctest.Wait()
}
