// Package rexec is the program shvrexec without its command line: the helper that an
// agent starts for each shell, command or subsystem. It logs in to the tunnelling broker
// with a one-time secret, creates the tunnel, owns the process and its pty, and carries
// the bytes of both (spec.md 8.4 to 8.9). It ends with its process, and ends its process
// when agent, broker or user are lost.
//
// It has no configuration and no way to be asked for more than the one session: all that
// it may do is in the agent's line (package helperline).
package rexec

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/helperline"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

const (
	// answerWait is how long the client may take to answer a CreateTunnelRequest.
	answerWait = 5 * time.Second
	// hangupGrace is how long a process may take after HUP before KILL.
	hangupGrace = 5 * time.Second
	// farewell is how long the last message may take to reach the broker.
	farewell = 2 * time.Second
)

// Options of a helper. All are required.
type Options struct {
	In      io.Reader // the agent's lines; the end of input means that the agent is lost
	Out     io.Writer // for the lines about the process group and the end of the session
	Environ []string  // environment that the process inherits, within the policy
	Self    string    // path of shvrexec, which serves SFTP and sets limits
	Log     zerolog.Logger
}

// Run serves the session of the agent's line, from that line to the end of the session.
// An error means that there was no session and that the caller has not been told why.
func Run(ctx context.Context, o Options) error {
	in := bufio.NewReaderSize(o.In, 4<<10)
	text, err := readLine(in)
	if err != nil {
		return err
	}
	line, err := helperline.ParseLine(text)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	notices := make(chan string, maxNotices)
	go func() { cancel(follow(in, notices)) }()
	return open(ctx, o, line, notices)
}

// maxNotices is how many notices of the agent may wait to be shown.
const maxNotices = 4

var errAgentGone = errors.New("the agent on the device was lost")

// stopOrder ends the session because the agent says so, for the reason that it gives.
type stopOrder struct{ why string }

func (e stopOrder) Error() string { return e.why }

// follow reads the agent's later lines until the agent ends the session or is lost, and
// returns which.
func follow(in *bufio.Reader, notices chan<- string) error {
	for {
		text, err := readLine(in)
		if err != nil {
			return errAgentGone
		}
		switch order := helperline.ParseOrder(text); {
		case order.Stop != "":
			return stopOrder{order.Stop}
		case order.Notice != "":
			select {
			case notices <- order.Notice:
			default: // nobody could read them this fast
			}
		}
	}
}

func readLine(in *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case err == nil:
			return text, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("no line from the agent on stdin: %w", err)
		case len(text) > helperline.MaxLine:
			return nil, fmt.Errorf("the agent's line is longer than %d bytes", helperline.MaxLine)
		}
	}
}

// open connects to the broker, creates the tunnel and runs the session.
func open(ctx context.Context, o Options, line helperline.Line, notices <-chan string) error {
	c, err := connect(ctx, line)
	if err != nil {
		_, _ = o.Out.Write(helperline.Ended{Cause: err.Error()}.Append(nil))
		return err
	}
	defer c.Close()
	s := newSession(o, c, line)
	s.notices = notices
	if err := s.prepare(); err != nil {
		s.ended(helperline.Ended{Cause: err.Error()})
		s.refuse(err)
		return nil
	}
	return s.run(ctx)
}

// connect logs in to the tunnelling broker, or uses the agent's socket instead.
func connect(ctx context.Context, line helperline.Line) (*client.Client, error) {
	if line.InBand {
		conn, err := transport.Inherited(helperline.InBandFD)
		if err != nil {
			return nil, fmt.Errorf("cannot use the socket to the agent: %w", err)
		}
		return client.Direct(conn, client.Options{Serve: serveTree()}), nil
	}
	u, err := address(line)
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, client.Options{
		URL:   u,
		Login: client.Login{Tunnel: line.Find.Secret},
		Serve: serveTree(),

		Patient:  true,
		Blocking: true,
	})
	var refused *transport.PlaintextError
	if errors.As(err, &refused) {
		err = fmt.Errorf("the settings of shvagent do not allow this session: %w", err)
	}
	return c, err
}

// serveTree returns what a helper serves to callers.
func serveTree() *node.Tree {
	tree := new(node.Tree)
	tree.Add("", node.Constant("appName", "s", rpc.AccessBrowse, chainpack.String("shvrexec")))
	return tree
}
