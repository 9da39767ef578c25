package cliapp

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"shvtools/internal/sys/logqueue"
)

const (
	// stderrQueue is how many bytes may wait for a stderr that is not read: some
	// ten thousand lines. As many again may be under way.
	stderrQueue = 1 << 20
	// flushWait is how long the end of a program waits for its stderr to be read.
	flushWait = time.Second
)

// queuedStderr is a stderr whose lines are written in the background.
type queuedStderr struct {
	*logqueue.Queue
	out io.Writer
}

// queueStderr puts a queue before out. Until there is a logger, it reports lost lines
// in a line as program writes them.
func queueStderr(program string, out io.Writer) *queuedStderr {
	return &queuedStderr{out: out, Queue: logqueue.New(out, stderrQueue, func(lost uint64) []byte {
		return fmt.Appendf(nil, "%s: %d lines lost; stderr was not read in time\n", program, lost)
	})}
}

// LogLost returns how many lines for the stderr of a program WithQueuedStderr were lost.
func LogLost(c *cli.Context) uint64 {
	if stderr, ok := c.App.ErrWriter.(*queuedStderr); ok {
		return stderr.Lost()
	}
	return 0
}

// OutliveReaders lets the program go on when the reader of its stdout or stderr goes
// away, such as a `| logger` that is restarted: writing then fails, where Go programs
// would end by SIGPIPE. Programs that it starts keep the default action.
func OutliveReaders() {
	// signal.Ignore would be inherited by them.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // nobody reads it
}
