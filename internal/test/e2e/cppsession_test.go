package e2e_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/broker/journal"
	"shvtools/internal/test/wirecaptures"
)

// mayDiffer lists everything in which our journal may differ from that of the recorded
// C++ session (spec.md 13), except the prompt, the listing and what leftOut drops. Both
// sessions have the same window size.
var mayDiffer = []struct {
	what    string
	pattern *regexp.Regexp
	to      string
}{
	{"nonce", regexp.MustCompile(`"nonce":"\d{10,}"`), `"nonce":"N"`},
	{"password hash", regexp.MustCompile(`"password":"[0-9a-f]{40}"`), `"password":"H"`},
	{"host", regexp.MustCompile(`Host:"[0-9.]+"`), `Host:"A"`},
	{"port", regexp.MustCompile(`Port:\d+`), `Port:1`},
	{"secret", regexp.MustCompile(`"secret":"[0-9a-f]{40}"`), `"secret":"S"`},
	{"secret in a message to a client", regexp.MustCompile(`Secret:"([0-9a-f]{40})?"`), `Secret:"S"`},
	{"protocol", regexp.MustCompile(`,protocol:1u`), ``},
	{"user id", regexp.MustCompile(`,userId:"[\w.:]*"`), ``},
	{"access", regexp.MustCompile(`,(grant:"\w+"|accessLevel:\d+)`), ``},
	{"what the broker vouches for", regexp.MustCompile(`,"ext":\{"vouches":true\}`), ``},
	{"offer", regexp.MustCompile(`,"ext":\{([^{}]|\{[^{}]*\})*\}\}\}$`), `}}`},
	{"answer to the offer", regexp.MustCompile(`i\{result:\{"ext":\{[^{}]*\}\}\}$`), `i{}`},
	{"exit report", regexp.MustCompile(`i\{result:\{"exit":0,"sent":i\{1:\d+\}\}\}$`), `i{result:null}`},
}

func comparable(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		for _, d := range mayDiffer {
			line = d.pattern.ReplaceAllString(line, d.to)
		}
		out[i] = line
	}
	return out
}

// leftOut matches messages that the recorded session does not have: pings, the control
// channel, the signal with which newer agents announce a call (spec.md 9.4), the call with
// which our agent asks where it is mounted, and its subscription to takeover.
var leftOut = regexp.MustCompile(
	`method:"(ping|cmdlog|info)"|:takeover"|i\{result:(\[3,|true\}|\{"clientId":\d+,"userName")`)

// The recorded session lacks its end, which is compared with a capture instead.
func TestJournalMatchesTheRecordedCppSession(t *testing.T) {
	t.Parallel()
	w := setup{unsafe: true}.start(t)
	term := w.shell(123, 34)
	for _, key := range []string{"l", "s"} {
		term.typeKeys(key)
		term.expect(key)
	}
	term.typeKeys("\r")
	term.expect("\r\n")
	listing := strings.TrimSuffix(term.expect(prompt), prompt)
	term.typeKeys("exit\r")
	term.ends(0)
	// The agent reports the end of the helper after everything else of the session.
	eventually(t, patience, "the helper ends", func() bool { return len(w.helpers()) == 0 })

	ours := slices.DeleteFunc(strings.Split(strings.TrimSpace(w.journal()), "\n"), leftOut.MatchString)
	recorded := recordedLines(t)
	ourOpening, ourTunnel := splitAtOpen(t, ours)
	recordedOpening, recordedTunnel := splitAtOpen(t, recorded)
	compareLines(t, comparable(ourOpening), comparable(recordedOpening))

	last := len(ourTunnel) - 2
	compareLines(t, comparable(ourTunnel[last:]), closeOfCapture(t))
	compareTunnels(t, dataOf(t, comparable(ourTunnel[:last])), dataOf(t, comparable(recordedTunnel)), listing)
}

func compareLines(t *testing.T, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("message %d:\nours  %s\nwants %s", i+1, g, w)
		}
	}
}

// compareTunnels compares what the tunnels carried: the ids with which each side
// wrote, and all bytes of each direction.
func compareTunnels(t *testing.T, ours, recorded tunnelData, listing string) {
	t.Helper()
	if got, want := ours.heads(), recorded.heads(); !slices.Equal(got, want) {
		t.Errorf("heads of the data: %q, want %q", got, want)
	}
	for _, hop := range []struct{ in, out string }{
		{"2 <== <T:RpcMessage,id:3,cid:3>", "3 ==> <T:RpcMessage,id:3>"},
		{"3 <== <T:RpcMessage,id:3,cid:2>", "2 ==> <T:RpcMessage,id:3>"},
	} {
		if ours[hop.in] != ours[hop.out] || recorded[hop.in] != recorded[hop.out] {
			t.Errorf("the bytes sent with %s differ from those received with %s", hop.out, hop.in)
		}
	}
	typed, shown := ours["3 ==> <T:RpcMessage,id:3>"], ours["2 ==> <T:RpcMessage,id:3>"]
	if want := recorded["3 ==> <T:RpcMessage,id:3>"] + "[0]exit\r"; typed != strings.ReplaceAll(want, "\r[0]", "\r") {
		t.Errorf("typed: %q, want %q", typed, want)
	}
	recordedPrompt := "fanda@tecka:~/proj/_build/shv/bin$ "
	want := strings.Replace(recorded["2 ==> <T:RpcMessage,id:3>"], unknownData, listing, 1)
	want = strings.ReplaceAll(want, recordedPrompt, prompt)
	// A login shell prints logout; the shell of the C++ programs is not one.
	rest, found := strings.CutPrefix(shown, want)
	if !found || rest != "exit\r\n" && rest != "exit\r\nlogout\r\n" {
		t.Errorf("shown: %q, want %q and the echo of exit", shown, want)
	}
}

// closeOfCapture returns the CloseTunnel of capture b, on both hops, as a journal shows
// it with the link ids of the recorded session. In the capture the agent is client 2.
func closeOfCapture(t *testing.T) []string {
	t.Helper()
	var text bytes.Buffer
	j := journal.New(&text, true)
	for _, conn := range wirecaptures.Load(t, "b_rsh_session") {
		switch conn.Name {
		case "rexec":
			j.Received(3, lastFrame(t, conn.ToBroker), false)
		case "rsh":
			j.Sent(2, lastFrame(t, conn.ToClient), false)
		}
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(text.String(), "cid:3", "cid:2")), "\n")
}

// lastFrame returns the last message of a stream, without its protocol byte.
func lastFrame(t *testing.T, stream []byte) []byte {
	t.Helper()
	frames, err := wirecaptures.Frames(stream)
	if err != nil {
		t.Fatal(err)
	}
	return frames[len(frames)-1][1:]
}
