package helperline_test

import (
	"reflect"
	"testing"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// Every way in must be judged as what it does.
func TestWhatACallWants(t *testing.T) {
	commands := func(words ...string) policy.Wanted { return policy.Wanted{Use: policy.Commands, Argv: words} }
	shell := policy.Wanted{Use: policy.Shell, Pty: true}
	onPty := func(w policy.Wanted) policy.Wanted { w.Pty = true; return w }
	for _, tt := range []struct {
		param string
		want  policy.Wanted
		fails bool
	}{
		{`{"method":"runPtyCmd","params":["/bin/bash",80,24]}`, shell, false},
		{`{"method":"runPtyCmd","params":[["sh"],80,24]}`, shell, false},
		{`{"method":"runPtyCmd","params":["/tmp/bash",80,24]}`, onPty(commands("/tmp/bash")), false},
		{`{"method":"runPtyCmd","params":[["/bin/bash","-c","reboot"],80,24]}`,
			onPty(commands("/bin/bash", "-c", "reboot")), false},
		{`{"method":"runPtyCmd","params":["top"]}`, onPty(commands("top")), false},
		{`{"method":"runCmd","params":"ls -l"}`, commands("ls -l"), false},
		{`{"method":"runCmd","params":["nice",5]}`, commands("nice", "5"), false},
		{`{"method":"runCmd","params":["sh"]}`, commands("sh"), false},
		{`{"method":"runPtyCmd","params":["true"],"ext":{"version":1,"run":{"shell":null}}}`, shell, false},
		{`{"method":"runPtyCmd","params":["true"],"ext":{"version":1,"run":{"shell":"/bin/ash"}}}`, shell, false},
		{`{"method":"runPtyCmd","params":["true"],"ext":{"version":1,"run":{"shell":"/usr/bin/python3"}}}`,
			onPty(commands("/usr/bin/python3")), false},
		{`{"method":"runPtyCmd","params":["true"],"ext":{"version":1,"run":{"exec":"top"}}}`,
			policy.Wanted{Use: policy.Commands, Line: "top", Pty: true}, false},
		{`{"method":"runCmd","params":["true"],"ext":{"version":1,"run":{"exec":"reboot"}}}`,
			policy.Wanted{Use: policy.Commands, Line: "reboot"}, false},
		{`{"method":"runCmd","params":["true"],"ext":{"version":1,"run":{"subsystem":"sftp"}}}`,
			policy.Wanted{Use: policy.SFTP}, false},
		// An offer that is void does not hide what runs in its place.
		{`{"method":"runCmd","params":["reboot"],"ext":{"version":0,"run":{"exec":"true"}}}`, commands("reboot"), false},
		{`{"method":"runCmd","params":["true"],"ext":{"version":1,"run":{"subsystem":"x"}}}`, policy.Wanted{}, true},
		{`{"method":"runX","params":["true"],"ext":{"version":1,"run":{"exec":"true"}}}`, policy.Wanted{}, true},
		{`{"method":"runCmd"}`, policy.Wanted{}, true},
		{`{}`, policy.Wanted{}, true},
		{`null`, policy.Wanted{}, true},
	} {
		v, err := cpon.Parse([]byte(tt.param), chainpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := helperline.CallFromParam(v).Wanted()
		if !reflect.DeepEqual(got, tt.want) || (err != nil) != tt.fails {
			t.Errorf("%s: %+v, %v; want %+v", tt.param, got, err, tt.want)
		}
	}
}

func TestOrders(t *testing.T) {
	for _, o := range []helperline.Order{{Notice: "soon\n\"x\""}, {Stop: "now"}} {
		if got := helperline.ParseOrder(o.Append(nil)); got != o {
			t.Errorf("%+v became %+v", o, got)
		}
	}
	for _, text := range []string{"", "\n", "null", `{"stop":1}`, `["stop"]`, `{"stop":"x"`, "stop"} {
		if got := helperline.ParseOrder([]byte(text)); got != (helperline.Order{}) {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
