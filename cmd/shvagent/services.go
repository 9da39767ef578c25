package main

import (
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/config"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/sys/cliapp"
)

// serviceFlags are the options of the agent's services other than sessions.
func serviceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "sysfs-rootdir", Aliases: []string{"fs"}, Usage: "export the directory `DIR` as sys/fs"},
		&cli.BoolFlag{Name: "fs-read-only", DisableDefaultText: true, Usage: "export --sysfs-rootdir read-only"},
		&cli.StringFlag{
			Name: "fs-max-file", DefaultText: config.DefaultText("files.max-file"),
			Usage: "limit files there to `SIZE`; 0: no limit",
		},
		&cli.StringFlag{
			Name: "cmd-timeout", DefaultText: config.DefaultText("commands.time"),
			Usage: "end programs of runCmd and runScript after `TIME`",
		},
		&cli.StringFlag{
			Name: "cmd-max-output", DefaultText: config.DefaultText("commands.output"),
			Usage: "end those that write more than `SIZE` to stdout and stderr; 8MiB at most",
		},
		&cli.StringFlag{
			Name: "state-dir", EnvVars: []string{"SHV_STATE_DIR", "STATE_DIRECTORY"},
			DefaultText: "/var/lib/shvagent for root, else ~/.local/state/shvagent",
			Usage:       "keep the scripts of runScript in `DIR`",
		},
		&cli.StringFlag{Name: "device-serial", Usage: "answer .device:serialNumber with `TEXT`"},
		&cli.StringFlag{Name: "device-reset", Usage: "offer .device:reset, which runs `COMMAND` in a shell"},
		&cli.BoolFlag{
			Name: "tester", DisableDefaultText: true,
			Usage: "offer the nodes tester/prop1 to prop4, for tests of other programs",
		},
	}
}

// setServices puts the services into o.
func setServices(c *cli.Context, config *config.Config, o *agent.Options) error {
	if root := config.Files.Root; root != "" {
		dir, err := filepath.Abs(root)
		if err != nil {
			return err
		}
		o.Files = fsnode.Options{Dir: dir, ReadOnly: config.Files.ReadOnly, MaxFile: config.Files.Max}
	}
	o.GitCommit = cliapp.Commit()
	o.Commands = agent.Commands{Time: config.Commands.Time, Output: int(config.Commands.Output)}
	o.ScriptDir = scriptDir(c.String("state-dir"))
	o.Device = agent.Device{Serial: c.String("device-serial"), Reset: c.String("device-reset")}
	o.Tester = c.Bool("tester")
	return nil
}

// scriptDir is where scripts are kept; "" if there is no directory for them.
func scriptDir(state string) string {
	home, err := os.UserHomeDir()
	switch {
	case state != "":
	case os.Geteuid() == 0:
		state = "/var/lib/shvagent"
	case os.Getenv("XDG_STATE_HOME") != "":
		state = filepath.Join(os.Getenv("XDG_STATE_HOME"), "shvagent")
	case err == nil:
		state = filepath.Join(home, ".local/state/shvagent")
	default:
		return ""
	}
	dir, err := filepath.Abs(filepath.Join(state, "scripts"))
	if err != nil {
		return ""
	}
	return dir
}
