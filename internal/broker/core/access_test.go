package core_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

func TestAccessLevels(t *testing.T) {
	for _, tt := range []struct {
		name, user, path, meta, want string // want: of 14 and 17, "" refused
	}{
		{"rule", "iot", "test/a", "", `14:"su",17:63`},
		{"rule of another user", "eve", "test/a", "", `14:"rd",17:8`},
		{"no rule", "eve", "prod/a", "", ""},
		{"none by a rule", "eve", "test/closed/a", "", ""},
		{"unclean path", "eve", "/test//closed/a/", "", ""},
		{"own level is lower", "iot", "test/a", ",17:16", `17:16,14:"wr"`},
		{"own level is higher", "eve", "test/a", ",17:63", `17:8,14:"rd"`},
		{"own level between names", "iot", "test/a", ",17:20", `17:20,14:"wr"`},
		{"own name is lower", "iot", "test/a", `,14:"cmd"`, `14:"cmd",17:24`},
		{"own name is higher", "eve", "test/a", `,14:"su"`, `14:"rd",17:8`},
		{"both", "iot", "test/a", `,14:"su",17:1`, `14:"bws",17:1`},
		{"unknown name", "eve", "test/a", `,14:"dot_local"`, `14:"rd",17:8`},
		{"level zero", "iot", "test/a", ",17:0", ""},
		{"negative level", "iot", "test/a", ",17:-5", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, core.Options{})
				caller := w.As(tt.user, "{}")
				agents := map[string]*world.Peer{"test/a": w.Device("test/a"), "test/closed/a": w.Device("test/closed/a")}
				caller.Send(`<1:1,8:3,9:"%s",10:"x"%s>i{}`, tt.path, tt.meta)
				if tt.want == "" {
					caller.ExpectError(3, rpc.CodeException, "not granted")
					for _, agent := range agents {
						agent.Fence()
					}
					return
				}
				got := agents[tt.path].Text()
				for _, part := range strings.Split(tt.want, ",") {
					if !strings.Contains(got, part) {
						t.Errorf("%s has no %s", got, part)
					}
				}
			})
		})
	}
}

func TestUserIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, agent := w.Client(), w.Device("test/a")
		for _, tt := range []struct{ sent, want string }{
			{``, ``},
			{`,16:""`, `,16:"iot:broker.local"`},
			{`,16:"joe"`, `,16:"joe;iot:broker.local"`},
			{`,16:{"shvUser":"x"}`, `,16:"{\"shvUser\":\"x\"};iot:broker.local"`},
			{`,16:null`, `,16:null`},
		} {
			user.Send(`<1:1,8:3,9:"test/a",10:"x"%s>i{}`, tt.sent)
			got := agent.Text()
			if !strings.Contains(got, tt.want) || tt.want == "" && strings.Contains(got, "16:") {
				t.Errorf("sent %q: %s", tt.sent, got)
			}
		}
	})
}
