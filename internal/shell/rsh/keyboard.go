package rsh

import (
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shell/sshargs"
	"shvtools/internal/sys/tty"
)

// keyboard is the user's terminal, as a reader of what is typed for the device.
type keyboard struct {
	session *session
	escapes escapes
	typed   []byte
}

// Read waits for something that is for the device.
func (k *keyboard) Read(b []byte) (int, error) {
	if k.escapes.char == 0 {
		return k.session.opts.Stdin.Read(b)
	}
	for {
		// One byte less, for the escape character that was held back.
		n, err := k.session.opts.Stdin.Read(b[:len(b)-1])
		k.typed = append(k.typed[:0], b[:n]...)
		pass := k.escapes.filter(b[:0], k.typed, k.session.command)
		if len(pass) > 0 || err != nil {
			return len(pass), err
		}
	}
}

// command does what the user typed behind the escape character. What was typed is
// shown, as ssh does it, which also ends the line that the device is in.
func (s *session) command(c byte) {
	shown := s.escape() + sshargs.Escape{Char: c}.String()
	switch c {
	case '.':
		s.screen.say(shown)
		s.end.Close(tunnel.Closing{Err: fmt.Errorf("closed by %s from the keyboard", shown)})
	case '?':
		s.screen.say(append([]string{shown}, escapeHelp(s.escape())...)...)
	case 'i':
		s.screen.say(append([]string{shown}, s.state()...)...)
	case controlZ:
		if !jobControl() {
			s.screen.say(shown + " is not possible: no shell is there that could continue shvrsh")
			return
		}
		s.screen.say(shown)
		s.suspend()
	}
}

// escape is the escape character, as one would write it.
func (s *session) escape() string { return sshargs.Escape{Char: s.opts.Escape}.String() }

// way is how the session is carried.
func (s *session) way() string {
	way := "a helper of the base protocol"
	if s.extended {
		way = "flow control, resize and exit status"
	}
	if !s.byTunnel {
		way += ", in band: the broker knows no tunnels"
	}
	return way
}

// state describes the session for ~i.
func (s *session) state() []string {
	return []string{
		fmt.Sprintf("device    %s", s.opts.Path),
		fmt.Sprintf("broker    %s, we are client %d", s.opts.URL, s.client.ID()),
		fmt.Sprintf("open for  %v, with %s", time.Since(s.began).Round(time.Second), s.way()),
		fmt.Sprintf("bytes     %d typed, %d shown", s.end.Sent(tunnel.Stdin), s.end.Received(tunnel.Stdout)),
	}
}

// suspend gives the terminal back, stops this program until it is continued, and
// takes the terminal again if we had it.
func (s *session) suspend() {
	if !jobControl() {
		return
	}
	taken := s.restore()
	_ = stopSelf()
	if !taken {
		return
	}
	if err := s.makeRaw(); err != nil {
		s.end.Close(tunnel.Closing{Err: err})
		return
	}
	s.tellSize()
}

// continued makes the terminal ours again after somebody stopped us without
// asking: the user's shell has changed its modes since.
func (s *session) continued() {
	s.mu.Lock()
	taken := s.raw != nil
	s.mu.Unlock()
	if taken && s.makeRaw() == nil {
		s.tellSize()
	}
}

// tellSize tells the device the size of our terminal, whose changes nobody tells
// us while we are stopped.
func (s *session) tellSize() {
	if size, err := tty.SizeOf(s.opts.Stdin); err == nil {
		_ = s.end.Resize(tunnel.Size{Cols: int(size.Cols), Rows: int(size.Rows)})
	}
}

// jobControl tells whether our parent can be a shell that continues us. One of
// another session, such as a terminal window that runs shvrsh alone, is none.
func jobControl() bool {
	ours, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	parents, err := unix.Getsid(unix.Getppid())
	return err == nil && parents == ours
}

// stopSelf stops the process and returns when it is continued. The signal goes to
// our own thread, which has therefore stopped before it goes on.
func stopSelf() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return unix.Tgkill(unix.Getpid(), unix.Gettid(), syscall.SIGSTOP)
}
