package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/config"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/device/runas"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/wire/transport"
)

// load reads the configuration that the flags name, or the default one.
func load(c *cli.Context) (*config.Config, error) {
	file := c.String("config")
	if file == "" {
		userDir, _ := os.UserConfigDir() // none without a home
		file = config.Default(userDir)
	}
	config, err := config.Load(config.Sources{
		File: file,
		Flag: func(name string) ([]string, bool) {
			if !c.IsSet(name) {
				return nil, false
			}
			if name == cliapp.FlagURL {
				return c.StringSlice(name), true
			}
			return []string{c.String(name)}, true
		},
		LookupEnv: os.LookupEnv,
	})
	if err != nil {
		return nil, cliapp.ConfigError(c, err)
	}
	return config, nil
}

// brokers returns the brokers to connect to, each with its login. User, password and
// mount point of a URL take precedence over the file.
func brokers(c *cli.Context, config *config.Config) ([]agent.Broker, error) {
	var all []agent.Broker
	for _, u := range config.URLs {
		given := cliapp.GivenLogin{User: c.String(cliapp.FlagUser), Password: c.String(cliapp.FlagPassword),
			PasswordFile: c.String(cliapp.FlagPasswordFile)}
		if config.FromFile("connection.user") {
			u.User = cmp.Or(u.User, config.User)
		}
		if config.FromFile("connection.password-file") && given.Password == "" && os.Getenv("SHV_PASSWORD") == "" &&
			u.Password == "" && u.ShaPass == "" && u.Token == "" {
			given.PasswordFile = config.PasswordFile
		}
		login, err := given.Credentials(c, u)
		if err != nil {
			return nil, err
		}
		b := agent.Broker{URL: u, User: login.User, Password: login.Password}
		if !c.IsSet("mount") {
			if b.MountPoint = u.MountPoint; b.MountPoint != "" && strings.Trim(b.MountPoint, "/") == "" {
				return nil, cliapp.Usagef("the option devmount of %s names no place, such as test/agent", u)
			}
		}
		if !c.IsSet("device-id") {
			b.DeviceID = u.DeviceID
		}
		all = append(all, b)
	}
	return all, nil
}

// noSocket turns the status socket off.
const noSocket = "none"

// socketPath is where the agent answers `shvagent status`, "" for nowhere.
func socketPath(config *config.Config) string {
	switch dir := os.Getenv("XDG_RUNTIME_DIR"); {
	case config.Socket == noSocket:
		return ""
	case config.Socket != "":
		return config.Socket
	case os.Geteuid() == 0:
		return "/run/shvagent.sock"
	case dir != "":
		return filepath.Join(dir, "shvagent.sock")
	}
	return ""
}

// show prints the configuration instead of using it. A file that is missing on this
// machine now is a warning: it may exist where the configuration is for.
func show(c *cli.Context, config *config.Config) error {
	return cliapp.ShowConfig(c, config.Print, config.Warnings, func() (warnings []string, faults error) {
		warn := func(about, text any) { warnings = append(warnings, fmt.Sprintf("%s: %s", about, text)) }
		for i, u := range config.URLs {
			if err := transport.CheckDial(u); err != nil {
				warn(fmt.Sprintf("connection.url[%d]", i+1), err)
			}
		}
		if config.FromFile("connection.password-file") {
			if err := cliapp.CheckPasswordFile(config.PasswordFile); err != nil {
				warn("connection.password-file", err)
			}
		}
		if dir := config.Files.Root; dir != "" {
			if err := fsnode.Check(dir); err != nil {
				warn("files.root", err)
			}
		}
		helper, err := helperPath(c.String("shvrexec"))
		if err == nil {
			err = checkHelper(helper)
		}
		if err != nil {
			warn("--shvrexec", err)
		}
		for i := range config.Policy.Rules {
			rule := &config.Policy.Rules[i]
			for _, text := range runas.Check(&policy.Grant{Rule: rule.String(), Limits: rule.Limits}) {
				warn(rule, text)
			}
		}
		return warnings, nil
	})
}

// helperPath returns the shvrexec to start. The agent runs without it, too: callers get
// an error, and the next update may bring it.
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

// checkHelper returns why the helper cannot be run at the moment.
func checkHelper(helper string) error {
	if _, err := exec.LookPath(helper); err != nil {
		return fmt.Errorf("no session can begin: %w", err)
	}
	return nil
}
