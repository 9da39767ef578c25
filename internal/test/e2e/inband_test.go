package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Foreign brokers, which know no tunnels. The tests of a broker that is not installed are
// skipped.
const (
	// venvEnv names a Python environment with pyshv (`make interop` makes one).
	venvEnv = "SHV_INTEROP_VENV"
	// rustEnv names the shvbroker of crates.io.
	rustEnv = "SHV_INTEROP_RUST_BROKER"
)

// foreign is a broker that knows no tunnels. Each has the development user, and a user
// weak, who may call the device but nothing below it.
type foreign struct {
	name   string
	find   func(t *testing.T) string // the program; skips the test
	file   string
	config string // %d is the port
	up     string // more configuration, for a parent broker at %s
}

var foreigners = []foreign{
	{"pyshv", pyshvBroker, "broker.toml", `
listen = ["tcp://127.0.0.1:%d"]
[user.iot]
password = "lub42DUB"
role = "all"
[user.weak]
password = "weak"
role = "weak"
[role.all]
mountPoints = ["**"]
access.su = ["**:*"]
[role.weak]
access.su = ["test/agent:*"]
`, `
[[connect]]
url = "tcp://%s?user=iot&password=lub42DUB&devmount=test/low"
role = "all"
`},
	{"rust", rustBroker, "broker.yml", `
name: rust
listen: [{url: "tcp://127.0.0.1:%d"}]
access:
  users:
    iot: {password: !Plain lub42DUB, roles: [all]}
    weak: {password: !Plain weak, roles: [weak]}
  roles:
    all: {access: [{shvRI: "**:*", grant: su}]}
    weak: {access: [{shvRI: "test/agent:*", grant: su}]}
  mounts: {}
policies:
  all: {allowed_ip: null, can_mount_via_device_id: true, allowed_mounts: [test]}
`, `
connections:
- name: up
  enabled: true
  connection_settings: {exported_shv_root: "", imported_shv_root: "", mount_point: "", exported_root_user: iot}
  client: {url: "tcp://iot:lub42DUB@%s", mount: test/low, heartbeat_interval: 1m, reconnect_interval: 1s}
`},
}

func pyshvBroker(t *testing.T) string {
	venv := os.Getenv(venvEnv)
	if venv == "" {
		t.Skip(venvEnv + " names no Python environment with pyshv")
	}
	return filepath.Join(venv, "bin", "pyshvbroker")
}

func rustBroker(t *testing.T) string {
	path := os.Getenv(rustEnv)
	if path == "" || !long {
		t.Skip(rustEnv + " names no shvbroker of crates.io, or SHV_LONG=1 is not set")
	}
	return path
}

// throughForeign runs a test at each foreign broker, with an agent.
func throughForeign(t *testing.T, test func(t *testing.T, w *world)) {
	for _, f := range foreigners {
		t.Run(f.name, func(t *testing.T) {
			program := f.find(t)
			w := newWorld(t)
			port := freePort(t)
			config := filepath.Join(w.dir, f.file)
			if err := os.WriteFile(config, fmt.Appendf(nil, f.config, port), 0o644); err != nil {
				t.Fatal(err)
			}
			address := fmt.Sprintf("127.0.0.1:%d", port)
			w.restart = func() {
				w.broker = w.launch(exec.Command(program, "--config", config))
				eventually(t, patience, f.name+" listens", func() bool {
					conn, err := net.Dial("tcp", address)
					if err == nil {
						_ = conn.Close()
					}
					return err == nil
				})
			}
			w.restart()
			w.url = "tcp://" + address
			w.startAgent()
			test(t, w)
		})
	}
}

// freePort returns a port on which nothing listens, because these brokers do not report a
// port that they choose.
func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestShellInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		term := w.shell(123, 34)
		if got := term.run("stty size"); got != "34 123\r\n" {
			t.Errorf("size: %q", got)
		}
		term.typeKeys(`until [ "$(stty size)" = "21 77" ]; do sleep 0.02; done; echo is $((40+2))` + "\r")
		term.expect("\r\n")
		term.resize(77, 21)
		term.expect("is 42\r\n")
		term.expect(prompt)
		term.interrupts()
		if got := term.run(`printf 'P\305\231\377'; echo`); !strings.Contains(got, "Př\xff") {
			t.Errorf("bytes that are no text: %q", got)
		}
		term.endsInBand()
	})
}

// Both brokers pass a key and its echo in about a millisecond. With a wait for a delayed
// acknowledgement, it would take 40.
func TestEchoInBandIsQuick(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		term := w.shell(80, 24)
		term.begin("cat")
		// A quarter of the keys is enough to see that, on a busy machine too.
		const keys = 31
		if quick := term.echoes(keys, 0)[keys/4]; quick > 25*time.Millisecond {
			t.Errorf("three of four echoes take %v or more", quick)
		}
		term.typeKeys("\x03")
		term.expect(prompt)
		term.typeKeys("exit\r")
		term.ends(130)
	})
}

func TestCommandsInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		w.rsh("echo out; echo err >&2; exit 7").wants(t, 7, "out\n", "err\n")
		w.rsh("kill -TERM $$").wants(t, 143, "", "")
		w.rshWith(strings.NewReader("a\nb\n"), "wc -l").wants(t, 0, "2\n", "")
		if r := w.rsh("/no/such/program"); r.code != 127 {
			t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
		}
	})
}

func TestTenMegabytesInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		data := make([]byte, 10<<20)
		rand.New(rand.NewSource(1)).Read(data)
		r := w.rshWith(bytes.NewReader(data), "cat")
		if r.code != 0 || !bytes.Equal(r.stdout, data) {
			t.Errorf("exit code %d, %d bytes came back, stderr %q", r.code, len(r.stdout), r.stderr)
		}
	})
}

// All sessions share the broker's queue to the device, which holds 16 messages. The Python
// broker drops the rest.
func TestSessionsAtOnceInBandLoseNothing(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		data := make([]byte, 1<<20)
		rand.New(rand.NewSource(2)).Read(data)
		ended := make(chan string)
		const n = 5
		for range n {
			go func() {
				cmd := w.rshCommand("cat")
				cmd.Stdin = bytes.NewReader(data)
				out, err := cmd.Output()
				switch {
				case err != nil:
					ended <- err.Error()
				case !bytes.Equal(out, data):
					ended <- fmt.Sprintf("%d bytes came back", len(out))
				default:
					ended <- ""
				}
			}()
		}
		for range n {
			if text := <-ended; text != "" {
				t.Error(text)
			}
		}
	})
}

func TestRefusedInBandNamesThePath(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		cmd := w.shvrsh("-l", "weak", device, "true")
		cmd.Env = append(cmd.Env, "SHV_PASSWORD=weak")
		w.finish(cmd).wantsFailure(t, device+"/.rexec/**", "attach, write and close")
	})
}

func TestKilledInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		for _, victim := range []struct {
			name  string
			kill  func(shvrsh *process)
			told  time.Duration // shvrsh ends, or the session does
			why   string
			after func()
		}{
			{"helper", func(*process) { w.killHelper() }, told, "process on the device was lost", func() {}},
			{"shvrsh", func(p *process) { w.killPid(p.pid()) }, 50 * time.Second, "", func() {}},
			// The broker answers the next call of shvrsh, which follows within 15 s.
			{"agent", func(*process) { w.kill(w.agent) }, 20 * time.Second, "session ended", w.startAgent},
			{"broker", func(*process) { w.kill(w.broker) }, told, "connection", func() {}},
		} {
			t.Run(victim.name, func(t *testing.T) {
				if victim.told > 2*told && !long {
					t.Skip("takes long; SHV_LONG=1 runs it")
				}
				command := marker()
				p, _ := w.started("echo ready; " + command + "; true")
				awaitStart(t, command)
				start := time.Now()
				victim.kill(p)
				if code := p.codeWithin(t, victim.told); victim.why != "" {
					if code != 255 {
						t.Errorf("exit code %d", code)
					}
					wantsLine(t, p.log.String(), device, victim.why)
				}
				eventually(t, victim.told-time.Since(start), command+" ends", func() bool { return len(living(command)) == 0 })
				victim.after()
			})
		}
	})
}

// The agent reports its stop to the user itself; with tunnels its helpers do.
func TestAgentThatStopsInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		command := marker()
		p, _ := w.started("echo ready; " + command + "; true")
		awaitStart(t, command)
		w.agent.signal(t, syscall.SIGTERM)
		if code := p.codeWithin(t, told); code != 255 {
			t.Errorf("exit code %d", code)
		}
		wantsLine(t, p.log.String(), device, "the agent on the device was stopped")
		eventually(t, told, command+" ends", func() bool { return len(living(command)) == 0 })
	})
}

// The policy and the limits must hold for sessions in band too.
func TestPolicyInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		config := w.newFile("shvagent.yaml")
		w.configure(config, "sessions: {total: 1}\nrules: [{name: few, commands: [echo **, sh -**]}]\n")
		w.agent.Stop(t)
		w.setup.agentOptions = []string{"--config", config}
		w.startAgent()
		w.rsh("id").wantsFailure(t, device, `rule "few" (shvagent.yaml:2) does not allow this command`)
		w.rsh("echo yes").wants(t, 0, "yes\n", "")
		eventually(t, patience, "the first session has gone", func() bool {
			return w.status().stdoutHas("sessions: 0\n")
		})
		p, _ := w.started("sh -c 'echo ready; exec sleep 60'")
		w.rsh("echo yes").wantsFailure(t, device, "1 sessions are open on this device")
		p.Stop(t)

		if os.Geteuid() != 0 {
			return // only root can become another user
		}
		w.configure(config, `
rules:
- {name: out, users: [iot], use: [shell, sftp], deny: true}
- {name: as, users: [iot], run-as: nobody, shell: /bin/sh, umask: 027, dir: /usr, resources: {nofile: 64}, time: 3s}
- {name: rest, level: su}
`)
		w.agent.Stop(t)
		w.startAgent()
		shell := w.rshCommand()
		shell.Stdin = strings.NewReader("id\n")
		w.finish(shell).wantsFailure(t, device, `rule "out" (shvagent.yaml:3) denies shell`)
		w.on(opts("-s"), "sftp").wantsFailure(t, device, `rule "out" (shvagent.yaml:3) denies sftp`)
		if r := w.rsh("id -un; umask; ulimit -n; pwd"); r.code != 0 || string(r.stdout) != "nobody\n0027\n64\n/usr\n" {
			t.Errorf("%d, %q, %q", r.code, r.stdout, r.stderr)
		}
		w.rsh("sleep 60").wantsFailure(t, device, `time limit: rule "as" (shvagent.yaml:4) allows 3s`)
	})
}

// No foreign broker notifies the device, so shvrsh must do it before it ends by a signal.
func TestSignalInBandHangsUpAtOnce(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		command := marker()
		p, _ := w.started("echo ready; " + command + "; true")
		awaitStart(t, command)
		p.signal(t, syscall.SIGHUP)
		p.code(t)
		eventually(t, told, command+" ends", func() bool { return len(living(command)) == 0 })
	})
}
