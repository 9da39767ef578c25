// Command shvagent mounts a device in an SHV broker's tree and starts a helper,
// shvrexec, for each shell or command that is asked for.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"shvtools/internal/agent"
	"shvtools/internal/cliapp"
)

const description = `Without arguments it mounts this machine as test/agent at the broker on
` + cliapp.DefaultURL + `. It connects again by itself, for as long as it runs.

Examples:
   shvagent
   shvagent --url tcp://pump7@broker:3755 --mount test/pump7 --password-file /etc/shv/password
   shvagent --url 'ssl://pump7@broker?ca=/etc/shv/ca.pem&devmount=test/pump7'
   shvagent --sysfs-rootdir /srv/pump --fs-read-only`

func main() {
	app := &cli.App{
		Name:        "shvagent",
		Usage:       "makes this machine a device of an SHV broker, with a remote shell",
		UsageText:   "shvagent [options]",
		Description: description,
		Action:      run,
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "mount", Aliases: []string{"m", "mount-point"}, Value: "test/agent", Usage: "mount the device at `PATH`"},
			&cli.StringFlag{Name: "device-id", Aliases: []string{"id"}, Usage: "tell the broker that the device is `ID`"},
			&cli.StringFlag{Name: "shvrexec", Usage: "start `FILE` for each session; without it, the shvrexec beside this program"},
			&cli.DurationFlag{Name: "heartbeat", Value: agent.DefaultHeartbeat, Usage: "ping the broker every `TIME`"},
			cliapp.ReadyFileFlag(),
		}, append(serviceFlags(), cliapp.LoginFlags()...)...), cliapp.LogFlags("info")...),
	}
	os.Exit(cliapp.Main(app, os.Args))
}

func run(c *cli.Context) error {
	if c.Args().Present() {
		return cliapp.Usagef("unexpected argument %q", c.Args().First())
	}
	log, err := cliapp.LoggerFromFlags(c)
	if err != nil {
		return err
	}
	u, err := cliapp.BrokerURL(c)
	if err != nil {
		return err
	}
	login, err := cliapp.Credentials(c, u)
	if err != nil {
		return err
	}
	if c.Duration("heartbeat").Seconds() < 1 {
		return cliapp.Usagef("--heartbeat must be a second at least, such as 60s")
	}
	mountPoint := given(c, "mount", u.MountPoint)
	if strings.Trim(mountPoint, "/") == "" {
		return cliapp.Usagef("--mount needs the path where the device is to be, such as test/agent")
	}
	helper, err := helperPath(c.String("shvrexec"))
	if err != nil {
		return err
	}
	if file := c.String(cliapp.FlagReadyFile); file != "" {
		defer os.Remove(file) // who reads it later would be led astray
	}
	o := agent.Options{
		URL:        u,
		User:       login.User,
		Password:   login.Password,
		MountPoint: mountPoint,
		DeviceID:   given(c, "device-id", u.DeviceID),
		Heartbeat:  c.Duration("heartbeat"),
		Helper:     helper,
		Environ:    helperEnviron(os.Environ()),
		Version:    cliapp.Version(),
		Log:        log,
		Ready: func() error {
			if file := c.String(cliapp.FlagReadyFile); file != "" {
				return cliapp.WriteReadyFile(file, []string{u.String()})
			}
			return nil
		},
	}
	if err := setServices(c, &o); err != nil {
		return err
	}
	return agent.Run(c.Context, o)
}

// given is the value of a flag, or where nobody gave one what the URL says.
func given(c *cli.Context, flag, ofURL string) string {
	if ofURL != "" && !c.IsSet(flag) {
		return ofURL
	}
	return c.String(flag)
}

// helperPath is the shvrexec to start. One that is not there is no reason to
// stay away: callers are told, and it may come with the next update.
func helperPath(named string) (string, error) {
	if named != "" {
		return filepath.Abs(named)
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find the shvrexec beside this program, use --shvrexec: %w", err)
	}
	return filepath.Join(filepath.Dir(self), "shvrexec"), nil
}

// helperEnviron is our environment without what configures us: neither a helper
// nor its sessions have any business with the agent's password.
func helperEnviron(environ []string) []string {
	var kept []string
	for _, v := range environ {
		if !strings.HasPrefix(v, "SHV_") || strings.HasPrefix(v, "SHV_LOG_") {
			kept = append(kept, v)
		}
	}
	return kept
}
