package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"shvtools/internal/device/agent"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/visible"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show the state of the agent on this machine; exit code 3: not connected",
		UsageText: "shvagent [--config FILE] [--socket FILE] status [--json]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print it in JSON"}},
		Action:    status,
	}
}

// codeNotConnected is the exit code while the agent is not connected.
const codeNotConnected = 3

func status(c *cli.Context) error {
	if c.Args().Present() {
		return cliapp.Usagef("unexpected argument %q", c.Args().First())
	}
	config, err := load(c)
	if err != nil {
		return err
	}
	path := socketPath(config)
	if path == "" {
		return fmt.Errorf("%w: there is no status socket", agent.ErrNoAgent)
	}
	r, err := agent.AskStatus(path)
	if err != nil {
		return err
	}
	text := reportText(r)
	if c.Bool("json") {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		text = string(visible.AppendJSON(nil, line)) + "\n"
	}
	if _, err := fmt.Fprint(c.App.Writer, text); err != nil {
		return err
	}
	if !r.Connected {
		return cliapp.Exit{Code: codeNotConnected}
	}
	return nil
}

// maxError bounds the error that status shows, in bytes: it may be a broker's text.
const maxError = 1 << 10

func reportText(r agent.Report) string {
	var b strings.Builder
	since := fmt.Sprintf("%v, since %s", seconds(r.For), r.Since.Format(time.RFC3339))
	fmt.Fprintf(&b, "device: %s, shvagent %s\n", r.Mount, r.Version)
	if r.Connected {
		fmt.Fprintf(&b, "connected to %s as client %d for %s\n", r.Broker, r.ClientID, since)
	} else {
		fmt.Fprintf(&b, "not connected for %s\n", since)
	}
	if r.Replaced != "" {
		fmt.Fprintf(&b, "not called: %s is mounted at %s too; give one of the two another mount point\n", r.Replaced, r.Mount)
	}
	if r.Stopping {
		b.WriteString("stopping: no new sessions\n")
	}
	if r.LastError != "" {
		fmt.Fprintf(&b, "last error: %s\n", visible.Within(r.LastError, maxError))
	}
	if r.LastRefusal != "" && r.LastRefusal != r.LastError {
		fmt.Fprintf(&b, "last refusal: %s\n", visible.Within(r.LastRefusal, maxError))
	}
	fmt.Fprintf(&b, "sessions: %d\n", len(r.Sessions))
	for _, s := range r.Sessions {
		user := s.User
		if user == "" {
			user = "(no user id)"
		}
		fmt.Fprintf(&b, "  %s: %s for %v, process %d, session %s\n", visible.String(user), s.Use,
			seconds(s.For.Seconds()), s.Helper, s.Name)
	}
	return b.String()
}

func seconds(n float64) time.Duration { return time.Duration(n) * time.Second }
