package world

import (
	"fmt"

	"shvtools/internal/shv/rpc"
)

// Tunnel is a tunnel to the device test/agent, and all its peers. Its two directions
// have request ids of their own: Call towards the user, Read towards the helper.
type Tunnel struct {
	User, Agent, Helper *Peer
	Call, Read          int64
}

// Launch calls launchRexec of the device test/agent, which receives the call.
func (r *Peer) Launch(agent *Peer, call int64) {
	r.t.Helper()
	r.Send(`<1:1,8:%d,9:"test/agent",10:"launchRexec">i{1:{"method":"runPtyCmd"}}`, call)
	agent.Expect(`<1:1,8:%d,9:"",10:"launchRexec",11:%d,14:"su",17:63>i{1:{"method":"runPtyCmd"}}`, call, r.ID)
}

// FindTunnel asks, as a device, for a tunnel secret for the call of a user.
func (r *Peer) FindTunnel(user, call int64) {
	r.t.Helper()
	r.Send(`<1:1,8:%d,11:%d,13:null,15:<1:3>i{1:1}>i{}`, call, user)
}

// Secret is FindTunnel, and returns the secret of the answer.
func (r *Peer) Secret(user, call int64) string {
	r.t.Helper()
	r.FindTunnel(user, call)
	m := r.Next()
	if m.Tunnel().State != rpc.FindTunnelResponse || m.ID() != call || len(m.Tunnel().Secret) != 40 {
		r.t.Fatalf("no FindTunnelResponse: id %d, %+v, %x", m.ID(), m.Tunnel(), m.Body())
	}
	return m.Tunnel().Secret
}

// Redeem logs a helper in with its secret.
func (w *World) Redeem(secret string) *Peer {
	w.t.Helper()
	return w.Connect().Login("", "", fmt.Sprintf(`{"idleWatchDogTimeOut":0,"tunnel":{"secret":"%s"}}`, secret))
}

// Tunnel opens a tunnel between a user and the device test/agent.
func (w *World) Tunnel(user, agent *Peer, call, read int64) *Tunnel {
	w.t.Helper()
	user.Launch(agent, call)
	p := &Tunnel{User: user, Agent: agent, Call: call, Read: read}
	p.Helper = w.Redeem(agent.Secret(user.ID, call))
	p.Create()
	user.Expect(`<1:1,8:%d,13:%d,15:<1:3>i{1:3,2:"h",3:1,4:"",5:%d,6:%d}>i{}`, call, p.Helper.ID, read, user.ID)
	user.Send(`<1:1,8:%d,11:%d,13:null,15:<1:3>i{1:4}>i{}`, read, p.Helper.ID)
	p.Helper.Expect(`<1:1,8:%d,13:%d,15:<1:3>i{1:4}>i{}`, read, user.ID)
	p.Works()
	return p
}

// NewTunnel opens a Tunnel between a new Client and a new Device.
func (w *World) NewTunnel(call, read int64) *Tunnel {
	w.t.Helper()
	return w.Tunnel(w.Client(), w.Device("test/agent"), call, read)
}

// Create sends the CreateTunnelRequest of the helper.
func (p *Tunnel) Create() {
	p.Helper.t.Helper()
	p.Helper.Send(`<1:1,8:%d,11:%d,13:null,15:<1:3>i{1:3,2:"h",3:1,4:"some secret",5:%d,6:%d}>i{}`,
		p.Call, p.User.ID, p.Read, p.User.ID)
}

// ToUser sends data from the helper.
func (p *Tunnel) ToUser(text string) {
	p.Helper.t.Helper()
	p.Helper.Send(`<1:1,8:%d,11:%d>i{2:[1,"%s"]}`, p.Call, p.User.ID, text)
}

// ToHelper sends data from the user.
func (p *Tunnel) ToHelper(text string) {
	p.User.t.Helper()
	p.User.Send(`<1:1,8:%d,11:%d>i{2:[0,"%s"]}`, p.Read, p.Helper.ID, text)
}

// Works fails unless the tunnel carries data both ways.
func (p *Tunnel) Works() {
	p.User.t.Helper()
	p.ToUser("out")
	p.User.Expect(`<1:1,8:%d>i{2:[1,"out"]}`, p.Call)
	p.ToHelper("in")
	p.Helper.Expect(`<1:1,8:%d>i{2:[0,"in"]}`, p.Read)
}
