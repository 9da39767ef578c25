package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/policy"
)

// A session that was asked for before a reload and begins after it must not keep the old limits.
func TestSessionBegunDuringAReloadHasTheLimitsOfNow(t *testing.T) {
	under := func(umask int, env ...string) *policy.Policy {
		return &policy.Policy{Rules: []policy.Rule{
			{Name: "all", Uses: policy.Uses(), Limits: policy.Limits{Umask: umask, Env: env}},
		}}
	}
	o, dir := options(t), t.TempDir()
	line := filepath.Join(dir, "line")
	o.Helper = filepath.Join(dir, "shvrexec")
	helper := "#!/bin/sh\nhead -n 1 > " + line + ".new && mv " + line + ".new " + line + "\n"
	if err := os.WriteFile(o.Helper, []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Policy = under(0o22, "LD_PRELOAD")
	o.InForce = agent.NewInForce(agent.Terms{Policy: o.Policy})
	w := loggedIn(t, o)
	w.Send(`<1:1,8:5,10:"launchRexec",11:7,16:"eva",17:63>i{1:{"method":"runCmd","params":["true"]}}`)
	if got := w.answer(); !strings.Contains(got, "15:<1:3>i{1:1}") {
		t.Fatalf("no search for a tunnel: %s", got)
	}
	if n := o.InForce.Replace(agent.Terms{Policy: under(0o77), Brokers: o.InForce.Brokers()}); n != 0 {
		t.Errorf("%d sessions ended", n)
	}
	w.Send(`<1:1,8:5,15:<1:3>i{1:2,2:"127.0.0.1",3:1,4:"secret"}>i{}`)
	shows(t, line, `"umask":63`, `"env":[]`)
}
