package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/test/certtest"
)

// sixUsers may log in from one kind of address only; the device from both.
const sixUsers = `access:
  users:
    device: {password: !Plain pw-device, roles: [devices]}
    six: {password: !Plain pw-six, roles: [operators], allowed-ips: ["::1/128"]}
    four: {password: !Plain pw-four, roles: [operators], allowed-ips: [127.0.0.0/8]}
  roles:
    devices: {access: [{shvRI: "**:*", grant: bws}], mount-points: ["test/**"]}
    operators: {access: [{shvRI: "**:*", grant: cmd}]}
`

func TestShellsOverIPv6AndManyListeners(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		_ = l.Close()
	}
	w := newWorld(t)
	own := certtest.Write(t, w.dir, "own", "::1", "127.0.0.1")
	text := "allow-plaintext: true\nlisten:\n"
	for _, url := range []string{
		"tcp://[::1]:0", "tcp://127.0.0.1:0", "ssl://[::1]:0", "ssl://127.0.0.1:0", "tcp://[::]:0",
	} {
		text += fmt.Sprintf("- {url: %q, cert: %q, key: %q}\n", url, own.Cert, own.Key)
	}
	w.configuredBroker(text + sixUsers)
	ready, err := os.ReadFile(filepath.Join(w.dir, "broker.ready"))
	if err != nil {
		t.Fatal(err)
	}
	urls := strings.Fields(string(ready))
	// The last listener serves both kinds.
	port := urls[4][strings.LastIndex(urls[4], ":"):]
	urls = append(urls[:4], "tcp://[::1]"+port, "tcp://127.0.0.1"+port)
	w.setup.agentEnv = []string{"SHV_PASSWORD=pw-device", "SHV_USER=device"}
	for _, agent := range []string{urls[0], urls[2] + "?ca=" + own.Cert} {
		w.startAgentAt("--url", agent)
		for _, url := range urls {
			let, refused := "four", "six"
			if strings.Contains(url, "[::1]") {
				let, refused = refused, let
			}
			if strings.HasPrefix(url, "ssl") {
				url += "?ca=" + own.Cert
			}
			run := func(user string) result {
				cmd := w.rshCommand("echo $0")
				cmd.Env = environment("SHV_URL="+url, "SHV_USER="+user, "SHV_PASSWORD=pw-"+user)
				return w.finish(cmd)
			}
			if r := run(let); r.code != 0 {
				t.Errorf("%s by %s, agent at %s: %d, %s", let, url, agent, r.code, r.stderr)
			}
			if agent == urls[0] && url == urls[0] {
				run(refused).wantsFailure(t, "login refused: unknown user or wrong password")
			}
		}
		w.kill(w.agent)
		eventually(t, patience, "the agent is gone", func() bool { return !w.agent.Running() })
	}
}
