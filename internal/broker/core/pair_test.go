package core

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// tunnelling are options of a broker that advertises the seed's address.
var tunnelling = Options{Advertise: Address{"10.0.3.93", 3755}}

// pair is a tunnel and everybody who made it. Its two directions have ids of
// their own.
type pair struct {
	user, agent, helper *remote
	call, read          int64 // request ids towards the user and towards the helper
}

// launch calls a device's launchRexec, as the user sees it.
func (r *remote) launch(agent *remote, call int64) {
	r.t.Helper()
	r.send(`<1:1,8:%d,9:"test/agent",10:"launchRexec">i{1:{"method":"runPtyCmd"}}`, call)
	agent.expect(`<1:1,8:%d,9:"",10:"launchRexec",11:%d,14:"su",17:63>i{1:{"method":"runPtyCmd"}}`, call, r.id)
}

// find asks for a secret for the call of a user.
func (r *remote) find(user, call int64) {
	r.t.Helper()
	r.send(`<1:1,8:%d,11:%d,13:null,15:<1:3>i{1:1}>i{}`, call, user)
}

// secret asks and gets.
func (r *remote) secret(user, call int64) string {
	r.t.Helper()
	r.find(user, call)
	m := r.next()
	if m.Tunnel().State != 2 || m.ID() != call || len(m.Tunnel().Secret) != 40 {
		r.t.Fatalf("no FindTunnelResponse: id %d, %+v, %x", m.ID(), m.Tunnel(), m.Body())
	}
	return m.Tunnel().Secret
}

// redeem logs a helper in.
func (w *world) redeem(secret string) *remote {
	w.t.Helper()
	return w.connect().login("", "", fmt.Sprintf(`{"idleWatchDogTimeOut":0,"tunnel":{"secret":"%s"}}`, secret))
}

// create sends the CreateTunnelRequest of a helper.
func (p *pair) create() {
	p.helper.t.Helper()
	p.helper.send(`<1:1,8:%d,11:%d,13:null,15:<1:3>i{1:3,2:"h",3:1,4:"some secret",5:%d,6:%d}>i{}`, p.call, p.user.id, p.read, p.user.id)
}

// toUser and toHelper send data.
func (p *pair) toUser(text string) {
	p.helper.t.Helper()
	p.helper.send(`<1:1,8:%d,11:%d>i{2:[1,"%s"]}`, p.call, p.user.id, text)
}

func (p *pair) toHelper(text string) {
	p.user.t.Helper()
	p.user.send(`<1:1,8:%d,11:%d>i{2:[0,"%s"]}`, p.read, p.helper.id, text)
}

// works carries something both ways.
func (p *pair) works() {
	p.user.t.Helper()
	p.toUser("out")
	p.user.expect(`<1:1,8:%d>i{2:[1,"out"]}`, p.call)
	p.toHelper("in")
	p.helper.expect(`<1:1,8:%d>i{2:[0,"in"]}`, p.read)
}

// tunnel makes a tunnel between a user and a device.
func (w *world) tunnel(user, agent *remote, call, read int64) *pair {
	w.t.Helper()
	user.launch(agent, call)
	p := &pair{user: user, agent: agent, call: call, read: read}
	p.helper = w.redeem(agent.secret(user.id, call))
	p.create()
	user.expect(`<1:1,8:%d,13:%d,15:<1:3>i{1:3,2:"h",3:1,4:"",5:%d,6:%d}>i{}`, call, p.helper.id, read, user.id)
	user.send(`<1:1,8:%d,11:%d,13:null,15:<1:3>i{1:4}>i{}`, read, p.helper.id)
	p.helper.expect(`<1:1,8:%d,13:%d,15:<1:3>i{1:4}>i{}`, read, user.id)
	p.works()
	return p
}

// pair makes users of its own.
func (w *world) pair(call, read int64) *pair {
	w.t.Helper()
	return w.tunnel(w.client(), w.device("test/agent"), call, read)
}

// bubbled runs a test with a broker in a synctest bubble, where time is virtual.
func bubbled(t *testing.T, o Options, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, serve(t, o)) })
}
