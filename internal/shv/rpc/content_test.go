package rpc_test

import (
	"errors"
	"fmt"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

func TestContentOfEachShapeOfBody(t *testing.T) {
	for body, want := range map[string]string{
		`i{}`:                     `0 null <nil>`,
		`null`:                    `0 null <nil>`, // live, of shvcall
		`i{1:5}`:                  `1 5 <nil>`,
		`i{2:null}`:               `2 null <nil>`,
		`i{2:{"a":1}}`:            `2 {"a":1} <nil>`,
		`i{4:0.5}`:                `4 0.5 <nil>`,
		`i{5:false}`:              `5 false <nil>`,
		`i{9:1}`:                  `0 null <nil>`,
		`i{9:1,2:3}`:              `2 3 <nil>`,
		`i{2:1,3:i{1:2}}`:         `2 1 <nil>`,
		`i{3:i{1:2},2:1}`:         `3 i{1:2} 2 "" null`,
		`i{3:i{1:8,2:"no"}}`:      `3 i{1:8,2:"no"} 8 "no" null`,
		`i{3:i{1:33u,2:"x",3:1}}`: `3 i{1:33u,2:"x",3:1} 33 "x" 1`,
		`i{3:i{}}`:                `3 i{} 8 "" null`,
		`i{3:null}`:               `3 null 8 "" null`,
		`i{3:"no"}`:               `3 "no" 8 "" null`,
		`i{3:i{1:"8",2:8}}`:       `3 i{1:"8",2:8} 8 "" null`,
	} {
		c, err := parse(t, "<8:1>"+body).Content()
		got := fmt.Sprintf("%d %s", c.Key, cpon.String(c.Value))
		if c.Error == nil {
			got += " <nil>"
		} else {
			got += fmt.Sprintf(" %d %q %s", c.Error.Code, c.Error.Message, cpon.String(c.Error.Data))
		}
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", body, got, err, want)
		}
	}
}

func TestBodyThatIsNoIMapIsAnError(t *testing.T) {
	for _, body := range []string{`[1]`, `{"result":1}`, `{}`, `2`, `"2"`} {
		if c, err := parse(t, "<8:1>"+body).Content(); !errors.Is(err, rpc.ErrNoBody) {
			t.Errorf("%s: got %v, %v", body, c, err)
		}
	}
	var syntax *chainpack.SyntaxError
	for _, body := range []string{"8a", "8a 42", "8a 42 ff", "c0", "8a 42 86 05 61 ff"} {
		if c, err := parseBytes(t, unhex(t, "8b 48 41 ff "+body)).Content(); !errors.As(err, &syntax) {
			t.Errorf("%q: got %v, %v", body, c, err)
		}
	}
}

func TestErrorsKeepTheirCodeOnTheWayThroughGo(t *testing.T) {
	denied := rpc.Denied("runCmd", "a", rpc.AccessBrowse, rpc.AccessCommand)
	const want = "Call method: 'runCmd' on path 'a' permission denied, grant: bws required: cmd"
	if denied.Code != 8 || denied.Error() != want {
		t.Errorf("%d %s", denied.Code, denied)
	}
	missing := rpc.NotFound("ls", "test/nosuch")
	if want := "Method: 'ls' on path 'test/nosuch' doesn't exist"; missing.Code != 2 || missing.Error() != want {
		t.Errorf("%d %s", missing.Code, missing)
	}
	if got := rpc.AsError(fmt.Errorf("so: %w", missing)); got != missing {
		t.Errorf("wrapped: %+v", got)
	}
	if got := rpc.AsError(errors.New("else")); got.Code != rpc.CodeException || got.Message != "else" {
		t.Errorf("another error: %+v", got)
	}
	if got := (&rpc.Error{Code: 33}).Error(); got != "RPC error 33" {
		t.Errorf("without a message: %s", got)
	}
	full := &rpc.Error{Code: 33, Message: "m", Data: chainpack.Int(7)}
	if got := cpon.String(full.Value()); got != `i{1:33,2:"m",3:7}` {
		t.Errorf("value %s", got)
	}
}
