package cliapp

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urfave/cli/v2"
)

// pipe is a stderr that is read only after goOn.
type pipe struct {
	goOn chan struct{}

	mu   sync.Mutex
	text strings.Builder
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.goOn
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func runWithStderr(p *pipe, args []string, action cli.ActionFunc) int {
	app := &cli.App{Name: "shvtest", ErrWriter: p, Flags: LogFlags("info"), Action: action}
	return Main(app, append([]string{"shvtest"}, args...), WithQueuedStderr(), WithSignals())
}

func TestUnreadStderrDelaysTheEndByASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipe{goOn: make(chan struct{})}
		before := time.Now()
		code := runWithStderr(p, nil, func(*cli.Context) error { return errors.New("link lost") })
		if took := time.Since(before); code != 1 || took != time.Second {
			t.Errorf("code %d after %v; want 1 after a second", code, took)
		}
		close(p.goOn)
		synctest.Wait()
		if got := p.text.String(); got != "shvtest: link lost\n" {
			t.Errorf("stderr %q", got)
		}
	})
}

func TestFatalLineIsWrittenBeforeTheEnd(t *testing.T) {
	p := &pipe{goOn: make(chan struct{})}
	close(p.goOn)
	code := runWithStderr(p, nil, func(*cli.Context) error { panic("oops") })
	if got := p.text.String(); code != 70 || !strings.HasPrefix(got, "shvtest: internal error: panic: oops") {
		t.Errorf("code %d, stderr %q", code, got)
	}
}

// The report has the form of the log, and comes at any level but disabled.
func TestLostLinesAreToldInTheLog(t *testing.T) {
	for args, want := range map[string]string{
		"": " ERR log: lines lost lines=", "--log-format json --log-level error": `{"level":"error","lines":`,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &pipe{goOn: make(chan struct{})}
			runWithStderr(p, strings.Fields(args), func(c *cli.Context) error {
				log, err := LoggerFromFlags(c)
				if err != nil {
					return err
				}
				for i := range 2 * stderrQueue / 100 {
					log.Error().Int("line", i).Msg(strings.Repeat("x", 100))
				}
				if LogLost(c) == 0 {
					t.Error("no line is counted as lost")
				}
				close(p.goOn)
				synctest.Wait()
				log.Error().Msg("again")
				return nil
			})
			lines := strings.Split(strings.TrimSpace(p.text.String()), "\n")
			last := lines[max(0, len(lines)-2):]
			if len(last) < 2 || !strings.Contains(last[0], want) || !strings.Contains(last[1], "again") {
				t.Errorf("%q: %d lines, the last ones %q", args, len(lines), last)
			}
		})
	}
}
