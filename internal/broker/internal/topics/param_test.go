package topics_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/internal/topics"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

func TestParseParam(t *testing.T) {
	for _, tt := range []struct {
		param string
		want  string // a resource identifier; "": it is refused
		ttl   time.Duration
	}{
		{`"a/b"`, "a/b", 0},
		{`"**:*:*"`, "**:*:*", 0},
		{`["a:get:chng", 60]`, "a:get:chng", time.Minute},
		{`["a", null]`, "a", 0},
		{`["a"]`, "a", 0},
		{`["a", 3000000000]`, "a", (1<<31 - 1) * time.Second},
		{`["a", 9223372036854775807]`, "a", (1<<31 - 1) * time.Second},
		{`{"path":"a/b"}`, "a/b/**:*:*", 0},
		{`{"path":"/a//b/","method":"chng","source":"get"}`, "a/b/**:get:chng", 0},
		{`{"paths":"a","methods":"x"}`, "a/**:*:x", 0},
		{`{"path":"a","signal":"x"}`, "a/**:*:x", 0},
		{`{"path":null,"method":""}`, "**:*:*", 0},
		{`{}`, "**:*:*", 0},
		{`{"path":"a*"}`, `a\*/**:*:*`, 0},

		{`null`, "", 0},
		{`7`, "", 0},
		{`[]`, "", 0},
		{`[7]`, "", 0},
		{`["a", 1, 2]`, "", 0},
		{`["a", 0]`, "", 0},
		{`["a", -1]`, "", 0},
		{`["a", "60"]`, "", 0},
		{`"[a"`, "", 0},
		{`["[a", 60]`, "", 0},
		{`{"path":7}`, "", 0},
		{`{"path":"a:b"}`, "", 0},
		{`{"method":["chng"]}`, "", 0},
		{fmt.Sprintf(`"%s"`, strings.Repeat("a", topics.MaxText+1)), "", 0},
		{fmt.Sprintf(`{"path":"%s"}`, strings.Repeat("a", topics.MaxText)), "", 0},
	} {
		v, err := cpon.Parse([]byte(tt.param), chainpack.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", tt.param, err)
		}
		ri, ttl, err := topics.ParseParam(v)
		switch {
		case tt.want == "" && (err == nil || rpc.AsError(err).Code != rpc.CodeInvalidParam):
			t.Errorf("%.40s: %v, %v", tt.param, ri, err)
		case tt.want != "" && (err != nil || ri.String() != tt.want || ttl != tt.ttl):
			t.Errorf("%s: %v, %v, %v, want %s, %v", tt.param, ri, ttl, err, tt.want, tt.ttl)
		}
	}
}
