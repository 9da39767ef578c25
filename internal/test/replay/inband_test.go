package replay

import (
	"fmt"
	"os"
	"testing"

	"shvtools/internal/device/helperline"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// offering is our agent at a replayed broker, after the call of a shvrsh that can do
// without a tunnel.
type offering struct {
	*peer
	lines *lines
	id    string // of the node
}

const offeredCall = `<1:1,8:3,10:"launchRexec",11:[0],17:63>i{1:{"method":"runCmd","params":["true"],` +
	`"ext":{"version":1,"features":["inband"]}}}`

func offers(t *testing.T) *offering {
	s, lines := serve(t), listenForLines(t)
	runAgent(t, s, os.Args[0], helperEnv+"="+lines.path, "GORACE=atexit_sleep_ms=0")
	o := &offering{peer: s.accept("b_rsh_session", "agent"), lines: lines}
	o.play(4) // login
	o.say(offeredCall)
	if method, _ := tag(o.next(), 10); !method.Equal(chainpack.String("cmdlog")) {
		t.Fatalf("no cmdlog, but %s", cpon.String(method))
	}
	v := o.next()
	ctl, _ := tag(v, 15)
	if state, _ := ctl.GetInt(1); !state.Equal(chainpack.Int(1)) {
		t.Fatalf("no FindTunnelRequest: %s", cpon.String(v))
	}
	o.id = offeredID(t, v)
	return o
}

func offeredID(t *testing.T, v chainpack.Value) string {
	t.Helper()
	result, _ := v.GetInt(2)
	id, ok := inband.OfferOf(result)
	if !ok {
		t.Fatalf("no offer: %v", result)
	}
	return id
}

// call calls a method of the offered node.
func (o *offering) call(id int, caller, method, param string) {
	o.t.Helper()
	o.say(fmt.Sprintf(`<1:1,8:%d,9:".rexec/%s",10:"%s",11:%s,17:1>i{1:%s}`, id, o.id, method, caller, param))
}

func (o *offering) expectError(id int, code int64) {
	o.t.Helper()
	o.isError(o.next(), id, code)
}

func (o *offering) isError(v chainpack.Value, id int, code int64) {
	o.t.Helper()
	failed, _ := v.GetInt(3)
	got, _ := failed.GetInt(1)
	if rid, _ := tag(v, 8); !rid.Equal(chainpack.Int(int64(id))) || !got.Equal(chainpack.Int(code)) {
		o.t.Errorf("got %s, want error %d for request %d", cpon.String(v), code, id)
	}
}

const attachParam = `{"ext":{"version":1}}`

// The agent sends its offer with the FindTunnelRequest. Brokers may drop what they do not
// know, so it sends the offer alone two seconds later. Only the caller can accept it.
func TestAgentStartsASessionInBand(t *testing.T) {
	t.Parallel()
	o := offers(t)
	o.call(4, "[1]", "attach", attachParam)
	refused, again := o.next(), o.next()
	if id, _ := tag(refused, 8); !id.Equal(chainpack.Int(4)) {
		refused, again = again, refused // the two seconds may pass first
	}
	o.isError(refused, 4, 2)
	if _, has := tag(again, 15); has || offeredID(t, again) != o.id {
		t.Errorf("the second offer is %s", cpon.String(again))
	}
	o.call(5, "[0]", "attach", `{}`)
	o.expectError(5, 3)
	o.call(6, "[0]", "attach", attachParam)
	line, err := helperline.ParseLine(o.lines.next())
	if err != nil || !line.InBand || line.Find.Secret != "" || line.Call.Method != "runCmd" {
		t.Errorf("the helper was told %+v, %v", line, err)
	}
	// The helper of this test ends at once, without a session.
	o.expectError(6, 8)
}

func TestTunnelThatIsFoundFirstReplacesTheOffer(t *testing.T) {
	t.Parallel()
	o := offers(t)
	o.say(`<1:1,8:3,13:[0],15:<1:3>i{1:2,2:"127.0.0.1",3:1,4:"secret",6:0}>i{}`)
	line, err := helperline.ParseLine(o.lines.next())
	if err != nil || line.InBand || line.Find.Secret != "secret" {
		t.Errorf("the helper was told %+v, %v", line, err)
	}
	o.call(4, "[0]", "attach", attachParam)
	for {
		v := o.next()
		if id, _ := tag(v, 8); id.Equal(chainpack.Int(3)) {
			continue // the helper of this test ends at once
		}
		failed, _ := v.GetInt(3)
		if code, _ := failed.GetInt(1); !code.Equal(chainpack.Int(2)) {
			t.Errorf("attach after the tunnel: %s", cpon.String(v))
		}
		return
	}
}

// Neither ls nor dir shows the node.
func TestOfferedNodeIsHidden(t *testing.T) {
	t.Parallel()
	o := offers(t)
	for i, path := range []string{"", ".rexec", ".app"} {
		o.say(fmt.Sprintf(`<1:1,8:%d,9:"%s",10:"ls",11:[0],17:63>i{}`, 10+i, path))
		v := o.next()
		list, _ := v.GetInt(2)
		for _, name := range list.Items() {
			if text, _ := name.AsString(); text == inband.Node || text == o.id {
				t.Errorf("ls %q shows %q", path, text)
			}
		}
	}
}
