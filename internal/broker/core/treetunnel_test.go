package core_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// far is a tunnel through a tree and its ends.
type far struct {
	tree                 *tree
	user, agent, helper  *world.Peer
	call, read           int64
	asked                rpc.CallerIDs // of the call, as the agent has them
	toHelper, fromHelper rpc.CallerIDs
	host                 string
}

func ids(callers rpc.CallerIDs) string { return cpon.String(callers.Value()) }

func copied(callers rpc.CallerIDs) rpc.CallerIDs { return append(rpc.CallerIDs(nil), callers...) }

// ask calls launchRexec of an agent at the bottom for a user on top.
func (tr *tree) ask(t *testing.T, user, agent *world.Peer, call int64) *far {
	t.Helper()
	p := &far{tree: tr, user: user, agent: agent, call: call, read: 5}
	user.Send(`<1:1,8:%d,9:"m/s/test/agent",10:"launchRexec">i{1:{"method":"runPtyCmd"}}`, call)
	m := agent.Next()
	if m.Kind() != rpc.Request || m.ID() != call {
		t.Fatalf("no call: %x", m.Body())
	}
	p.asked = copied(m.Callers())
	return p
}

// find asks for the tunnel and returns the answer.
func (p *far) find(t *testing.T) rpc.TunnelCtl {
	t.Helper()
	p.agent.Send(`<1:1,8:%d,11:%s,13:null,15:<1:3>i{1:1,8:["ssl"]}>i{}`, p.call, ids(p.asked))
	m := p.agent.Next()
	ctl := *m.Tunnel()
	if ctl.State != rpc.FindTunnelResponse || m.ID() != p.call || ctl.Vouchers() != 0 || len(m.Callers()) != 0 {
		t.Fatalf("no FindTunnelResponse: id %d, %+v, %x", m.ID(), ctl, m.Body())
	}
	p.host = ctl.Host
	return ctl
}

// open opens the tunnel at the broker that the answer names.
func (p *far) open(t *testing.T) *far {
	t.Helper()
	ctl := p.find(t)
	at := map[string]*world.World{"top": p.tree.top, "middle": p.tree.middle, "bottom": p.tree.bottom}[p.host]
	if at == nil {
		t.Fatalf("the helper is sent to %q", p.host)
	}
	p.helper = at.Redeem(ctl.Secret)
	p.helper.Send(`<1:1,8:%d,11:%s,13:null,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:%d,6:%s}>i{}`,
		p.call, ids(ctl.CallerIDs), p.read, ids(ctl.CallerIDs))
	m := p.user.Next()
	if m.Tunnel().State != rpc.CreateTunnelRequest || m.ID() != p.call || m.Tunnel().Secret != "" {
		t.Fatalf("no CreateTunnelRequest: %+v %x", m.Tunnel(), m.Body())
	}
	p.toHelper = copied(m.RevCallers())
	p.user.Send(`<1:1,8:%d,11:%s,13:null,15:<1:3>i{1:4}>i{}`, p.read, ids(p.toHelper))
	m = p.helper.Next()
	if m.Tunnel().State != rpc.CreateTunnelResponse || m.ID() != p.read {
		t.Fatalf("no CreateTunnelResponse: %+v %x", m.Tunnel(), m.Body())
	}
	p.fromHelper = copied(m.RevCallers())
	p.works(t)
	return p
}

func (p *far) works(t *testing.T) {
	t.Helper()
	p.helper.Send(`<1:1,8:%d,11:%s>i{2:[1,"out"]}`, p.call, ids(p.fromHelper))
	p.user.Expect(`<1:1,8:%d>i{2:[1,"out"]}`, p.call)
	p.user.Send(`<1:1,8:%d,11:%s>i{2:[0,"in"]}`, p.read, ids(p.toHelper))
	p.helper.Expect(`<1:1,8:%d>i{2:[0,"in"]}`, p.read)
}

// closed expects a CloseTunnel with an error.
func closed(t *testing.T, r *world.Peer, id int64, part string) {
	t.Helper()
	m := r.ExpectError(id, rpc.CodeException, part)
	if m.Tunnel().State != rpc.CloseTunnel || len(m.Callers()) != 0 {
		t.Fatalf("no CloseTunnel: %+v, caller ids %v", m.Tunnel(), m.Callers())
	}
}

func advertising(name string, public bool) core.Options {
	if !public {
		return core.Options{}
	}
	return core.Options{Advertise: core.Address{name, 3755}}
}

// openTree returns a tunnel through a tree in which some brokers are public.
func openTree(t *testing.T, top, middle, bottom bool) *far {
	t.Helper()
	tr := newTree(t, advertising("top", top), advertising("middle", middle), advertising("bottom", bottom))
	return tr.ask(t, tr.top.Admin(), tr.bottom.Device("test/agent"), 41).open(t)
}

// What still comes for a tunnel that has ended is dropped. The answer to the next call of the
// same numbers is not.
func TestCallTakesTheNumbersOfAnEndedTunnel(t *testing.T) {
	for _, public := range []string{"top", "middle", "bottom"} {
		inTree(t, func(t *testing.T) {
			p := openTree(t, public == "top", public == "middle", public == "bottom")
			p.helper.Send(`<1:1,8:%d,11:%s,15:<1:3>i{1:5}>i{2:{"exit":0}}`, p.call, ids(p.fromHelper))
			p.user.Expect(`<1:1,8:%d,15:<1:3>i{1:5}>i{2:{"exit":0}}`, p.call)
			synctest.Wait()
			p.user.Send(`<1:1,8:%d,9:"m/s/test/agent",10:"get">i{}`, p.call)
			p.agent.Send(`<1:1,8:%d,11:%s>i{2:7}`, p.call, ids(p.agent.Next().Callers()))
			p.user.Expect(`<1:1,8:%d>i{2:7}`, p.call)
		})
	}
}

// The helper is sent to the public broker nearest to the client, and all brokers vouch.
func TestPublicBrokerNearestToTheClient(t *testing.T) {
	for _, tt := range []struct {
		top, middle, bottom bool
		want                string
	}{
		{true, true, true, "top"}, {true, false, false, "top"}, {true, false, true, "top"},
		{false, true, true, "middle"}, {false, true, false, "middle"},
		{false, false, true, "bottom"},
	} {
		inTree(t, func(t *testing.T) {
			p := openTree(t, tt.top, tt.middle, tt.bottom)
			if p.host != tt.want {
				t.Errorf("%+v: the helper is sent to %s", tt, p.host)
			}
			if !p.helper.Vouched {
				t.Errorf("%+v: nobody vouches for the client", tt)
			}
			// Nothing is left of the offers that were not taken.
			time.Sleep(2 * core.DefaultSecretLife)
			synctest.Wait()
			p.works(t)
			for _, w := range []*world.World{p.tree.top, p.tree.middle, p.tree.bottom} {
				s := w.Stats()
				if secrets, calls, _ := w.Records(); secrets+calls != 0 || s.Forged+s.Late+s.Bad != 0 {
					t.Errorf("%+v: %d secrets, %d calls, %+v", tt, secrets, calls, s)
				}
			}
			p.helper.Send(`<1:1,8:%d,11:%s,15:<1:3>i{1:5}>i{2:{"exit":0}}`, p.call, ids(p.fromHelper))
			p.user.Expect(`<1:1,8:%d,15:<1:3>i{1:5}>i{2:{"exit":0}}`, p.call)
			synctest.Wait()
			for _, w := range []*world.World{p.tree.top, p.tree.middle, p.tree.bottom} {
				if _, _, ends := w.Records(); ends != 0 {
					t.Errorf("%+v: %d ends of tunnels are left", tt, ends)
				}
			}
		})
	}
}

// An address and an offer from below stay if no broker above is public. A public broker
// replaces the address and removes the offer.
func TestOffersAreReplacedOrTakenAway(t *testing.T) {
	inTree(t, func(t *testing.T) {
		const find = `<1:1,8:41,11:%d,13:7,15:<1:3>i{1:1,2:"low",3:1,4:"abc",6:[1,2],7:["ssl://low","abc"],8:["ssl"]}>i{}`
		w := world.New(t, core.Options{Advertise: core.Address{"public", 3755}})
		user := w.Admin()
		child := w.ChildBroker("c")
		user.Send(`<1:1,8:41,9:"c/x",10:"launchRexec">i{}`)
		child.Next()
		child.Send(find, user.ID)
		m := child.Next()
		if ctl := m.Tunnel(); ctl.Host != "public" || ctl.Offered() != "" || len(ctl.Extra) != 1 || ctl.Vouchers() != 1 ||
			ids(m.Callers()) != "7" {
			t.Errorf("%+v to %v", ctl, m.Callers())
		}

		private := world.New(t, core.Options{})
		user = private.Admin()
		child = private.As("child", `{"broker":{},"device":{"mountPoint":"c"}}`)
		child.Next()
		user.Send(`<1:1,8:41,9:"c/x",10:"launchRexec">i{}`)
		child.Next()
		child.Send(find, user.ID)
		if ctl := child.Next().Tunnel(); ctl.Host != "low" || ctl.Offered() != "ssl://low" || ctl.Secret != "abc" ||
			ids(ctl.CallerIDs) != "[1,2]" {
			t.Errorf("%+v", ctl)
		}
	})
}

// The loss of any link on the way ends both halves of a tunnel at once, with an error.
func TestLostLinksEndBothHalves(t *testing.T) {
	for _, winner := range []string{"top", "middle", "bottom"} {
		for name, lose := range map[string]func(p *far){
			"user":   func(p *far) { p.user.Close() },
			"helper": func(p *far) { p.helper.Close() },
			"high":   func(p *far) { p.tree.high.link.Close(link.ReadError) },
			"low":    func(p *far) { p.tree.low.link.Close(link.ReadError) },
		} {
			t.Run(winner+" without "+name, func(t *testing.T) {
				inTree(t, func(t *testing.T) {
					p := openTree(t, winner == "top", winner == "middle", winner == "bottom")
					lose(p)
					began := time.Now()
					through := name == "high" && winner != "top" || name == "low" && winner == "bottom"
					if name != "user" && (through || name == "helper") {
						closed(t, p.user, p.call, "device restarted")
					}
					if name != "helper" && (through || name == "user") {
						closed(t, p.helper, p.read, "user has gone")
					}
					if name != "user" && name != "helper" && !through {
						p.works(t) // the link is not of the tunnel
						return
					}
					if took := time.Since(began); took > time.Second {
						t.Errorf("it took %v", took)
					}
					synctest.Wait()
					for _, w := range []*world.World{p.tree.top, p.tree.middle, p.tree.bottom} {
						if _, _, ends := w.Records(); ends != 0 {
							t.Error("a record is left")
						}
					}
				})
			})
		}
	}
}

// A parent broker that goes and reconnects ends an open shell. The next shell works.
func TestParentGoesAndComesBack(t *testing.T) {
	inTree(t, func(t *testing.T) {
		p := openTree(t, false, false, true)
		tr := p.tree
		tr.low.link.Close(link.ReadError)
		synctest.Wait()
		tr.low = under(t, tr.bottom, tr.middle, "s", "")
		closed(t, p.user, p.call, "device restarted")
		closed(t, p.helper, p.read, "user has gone")
		// Late data for the tunnel is dropped.
		p.user.Send(`<1:1,8:%d,11:%s>i{2:[0,"late"]}`, p.read, ids(p.toHelper))
		p.helper.Send(`<1:1,8:%d,11:%s>i{2:[1,"late"]}`, p.call, ids(p.fromHelper))
		p.helper.Gone()
		p.user.Fence()
		tr.ask(t, p.user, p.agent, 42).open(t)
	})
}

// A device below the same broker as the one of a shell was called by the same user, so it
// has a reply route to that user. That route does not lead into the shell.
func TestNeighbourBelowTheSameBrokerCannotForge(t *testing.T) {
	for _, winner := range []string{"top", "middle", "bottom"} {
		inTree(t, func(t *testing.T) {
			tr := newTree(t, advertising("top", winner == "top"), advertising("middle", winner == "middle"),
				advertising("bottom", winner == "bottom"))
			user, agent, neighbour := tr.top.Admin(), tr.bottom.Device("test/agent"), tr.bottom.Device("test/evil")
			stranger := tr.bottom.Device("test/stranger")
			user.Send(`<1:1,8:9,9:"m/s/test/evil",10:"get">i{}`)
			neighbour.Next()
			p := tr.ask(t, user, agent, 41)
			// Before there is a tunnel: neither a secret nor a tunnel of its own.
			for _, forged := range []string{
				`<1:1,8:41,11:%s,13:null,15:<1:3>i{1:1}>i{}`,
				`<1:1,8:41,11:%s,13:null,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:6}>i{}`,
			} {
				neighbour.Send(forged, ids(p.asked))
				neighbour.Fence()
			}
			p.open(t)
			for _, evil := range []*world.Peer{neighbour, stranger} {
				for _, forged := range []string{
					`<1:1,8:41,11:%s>i{2:[1,"forged"]}`,
					`<1:1,8:41,11:%s,15:<1:3>i{1:5}>i{2:{"exit":0}}`,
					`<1:1,8:41,11:%s>i{3:i{1:8,2:"forged"}}`,
				} {
					evil.Send(forged, ids(p.asked))
					evil.Send(forged, ids(p.fromHelper))
				}
				evil.Send(`<1:1,8:5,11:%s>i{2:[0,"forged"]}`, ids(p.toHelper))
				evil.Send(`<1:1,8:41,15:<1:3>i{1:2,2:"evil",3:1,4:"s"}>i{}`)
				evil.Fence()
			}
			user.Fence()
			p.helper.Fence()
			p.works(t)
			if n := tr.bottom.Stats().Forged + tr.middle.Stats().Forged + tr.top.Stats().Forged; n < 9 {
				t.Errorf("%d messages were dropped as forged", n)
			}
		})
	}
}

// A broker on the way that does not vouch, that is to report the loss of the client,
// makes the promise of the others void.
func TestNobodyVouchesThroughAnOldBroker(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{Advertise: core.Address{"bottom", 3755}})
		r, old := newOldParent(t, w)
		agent := w.Device("test/agent")
		r.Send(`<1:1,8:41,9:"test/agent",10:"launchRexec",11:9,17:63>i{}`)
		m := agent.Next()
		agent.Send(`<1:1,8:41,11:%s,13:null,15:<1:3>i{1:1}>i{}`, ids(m.Callers()))
		request := r.Next()
		if request.Tunnel().State != 1 || request.Tunnel().Host != "bottom" || ids(request.Callers()) != "9" {
			t.Fatalf("%+v to %v", request.Tunnel(), request.Callers())
		}
		ctl := *request.Tunnel()
		r.Send(`<1:1,8:41,11:%s,15:<1:3>i{1:2,2:"bottom",3:3755,4:"%s",6:%s}>i{}`,
			ids(request.RevCallers()), ctl.Secret, ids(ctl.CallerIDs))
		agent.Next()
		helper := w.Redeem(ctl.Secret)
		if helper.Vouched {
			t.Error("it vouches for what it cannot know")
		}
		old.link.Close(link.Done)
	})
}

// newOldParent returns a raw parent broker of w that does not vouch, and w's end of the
// link to it.
func newOldParent(t *testing.T, w *world.World) (*world.Peer, upward) {
	t.Helper()
	ours, theirs := net.Pipe()
	return world.NewPeer(t, ours), asParent(t, w, world.NewPeer(t, theirs), "", nil)
}

// A device that was called once from above may answer any number of times. That fills its
// own queue space on the link to the parent, and affects neither the link nor others.
func TestDeviceThatAnswersForEverDoesNotTakeTheLinkFromOthers(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{Limits: core.Limits{QueueBytes: 64 << 10}})
		r, up := newOldParent(t, w)
		evil, other := w.Device("test/evil"), w.Device("test/other")
		r.Send(`<1:1,8:1,9:".broker/app",10:"subscribe",17:8>i{1:{"path":"test/other","method":"chng"}}`)
		r.Expect(`<1:1,8:1>i{2:true}`)
		r.Send(`<1:1,8:3,9:"test/evil",10:"get",11:9,17:63>i{}`)
		evil.Next()
		text := strings.Repeat("x", 16<<10)
		const answers = 2000 // with errors for all of them, its room for those is full too
		for range answers {
			evil.Send(`<1:1,8:3,11:[9,%d]>i{2:"%s"}`, up.ID(), text)
		}
		evil.Fence()
		other.Send(`<1:1,9:"",10:"chng">i{1:5}`)
		other.Fence()
		whole, lost, signals := 0, 0, 0
		r.Send(`<1:1,8:4,9:".broker/app",10:"ping",17:63>i{}`)
		pong := false
		for ; up.link.Queued() > 0 || r.In.Buffered() > 0; synctest.Wait() {
			m := r.Next()
			content, err := m.Content()
			switch {
			case err != nil:
				t.Fatal(err)
			case m.Kind() == rpc.Signal:
				signals++
			case m.ID() == 4:
				pong = true
			case m.ID() != 3 || ids(m.Callers()) != "9":
				t.Fatalf("id %d to %v", m.ID(), m.Callers())
			case content.Error == nil:
				whole++
			case content.Error.Code != rpc.CodeTryAgainLater:
				t.Fatal(content.Error)
			default:
				lost++
			}
		}
		s := w.Stats()
		if up.link.Cause() != link.Open || !pong || signals != 1 || whole < 3 || whole+int(s.ResponsesLost) != answers ||
			lost == 0 || s.Missed != 0 {
			t.Errorf("of %d answers %d came and %d were told as lost, %d signals, pong %v; %+v",
				answers, whole, lost, signals, pong, s)
		}
	})
}

// Many devices that answer for ever fill all queue space for streams on the link to the
// parent, but not the broker's own: the link must not be closed because it is full.
func TestManyDevicesThatAnswerForEverLeaveTheBrokerItsRoom(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{Limits: core.Limits{QueueBytes: 64 << 10}})
		r, up := newOldParent(t, w)
		text := strings.Repeat("x", 16<<10)
		for i := range 40 {
			evil := w.Device(fmt.Sprintf("test/evil%d", i))
			r.Send(`<1:1,8:3,9:"test/evil%d",10:"get",11:9,17:63>i{}`, i)
			evil.Next()
			for range 8 {
				evil.Send(`<1:1,8:3,11:[9,%d]>i{2:"%s"}`, up.ID(), text)
			}
			evil.Fence()
		}
		r.Send(`<1:1,8:4,9:".broker/app",10:"ping",17:63>i{}`)
		r.Send(`<1:1,8:5,9:"test/nobody",10:"get",17:63>i{}`)
		synctest.Wait()
		if cause := up.link.Cause(); cause != link.Open {
			t.Fatalf("the link ended: %s", cause)
		}
		for answers := 0; answers < 2; {
			if id := r.Next().ID(); id == 4 || id == 5 {
				answers++
			}
		}
	})
}

// All shells end with their link at once, even if some of their users do not read.
func TestUsersThatDoNotReadHoldUpNobody(t *testing.T) {
	inTree(t, func(t *testing.T) {
		small := core.Options{Limits: core.Limits{QueueBytes: 64 << 10}}
		tr := newTree(t, small, core.Options{}, advertising("bottom", true))
		agent := tr.bottom.Device("test/agent")
		stuck := tr.ask(t, tr.top.Admin(), agent, 41).open(t)
		fine := tr.ask(t, tr.top.Admin(), agent, 42).open(t)
		text := strings.Repeat("x", 16<<10)
		for range 3 {
			stuck.helper.Send(`<1:1,8:41,11:%s>i{2:[1,"%s"]}`, ids(stuck.fromHelper), text)
		}
		synctest.Wait()
		fine.works(t) // a user who does not read holds up nobody on the shared links
		tr.low.link.Close(link.ReadError)
		synctest.Wait()
		closed(t, fine.user, 42, "device restarted")
		for range 3 {
			if m := stuck.user.Next(); m.ID() != 41 {
				t.Fatalf("id %d", m.ID())
			}
		}
		closed(t, stuck.user, 41, "device restarted")
	})
}

// A tunnel without windows fills the queue of a client that does not read. It is closed
// towards both ends, and the links stay.
func TestTunnelWithoutAcksIsClosedOnASharedLink(t *testing.T) {
	inTree(t, func(t *testing.T) {
		small := core.Options{Limits: core.Limits{QueueBytes: 64 << 10}}
		tr := newTree(t, small, core.Options{}, advertising("bottom", true))
		agent := tr.bottom.Device("test/agent")
		flood := tr.ask(t, tr.top.Admin(), agent, 41).open(t)
		fine := tr.ask(t, tr.top.Admin(), agent, 42).open(t)
		text := strings.Repeat("x", 16<<10)
		for range 8 {
			flood.helper.Send(`<1:1,8:41,11:%s>i{2:[1,"%s"]}`, ids(flood.fromHelper), text)
		}
		closed(t, flood.helper, 5, "does not keep up")
		fine.works(t)
		for m := flood.user.Next(); m.Tunnel().State != rpc.CloseTunnel; m = flood.user.Next() {
			if m.ID() != 41 {
				t.Fatalf("id %d", m.ID())
			}
		}
		flood.user.Fence()
		fine.works(t)
	})
}
