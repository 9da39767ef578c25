package main

import (
	"cmp"
	"errors"
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
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// load reads the configuration that the flags name, or the default one.
func load(c *cli.Context) (*config.Config, error) {
	read := config.Load
	if c.Bool(cliapp.FlagCheckConfig) {
		read = config.Check
	}
	config, err := read(sources(c))
	if err != nil {
		return nil, cliapp.ConfigError(c, err)
	}
	return config, nil
}

// sources are the file, the flags and the environment.
func sources(c *cli.Context) config.Sources {
	file := c.String("config")
	if file == "" {
		userDir, _ := os.UserConfigDir() // none without a home
		file = config.Default(userDir)
	}
	return config.Sources{
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
	}
}

// refused returns an error for each broker that the agent would refuse to connect to,
// whatever look-ups say.
func refused(config *config.Config) error {
	var faults []error
	for i, u := range config.URLs {
		if err := transport.CheckPlaintext(u); err != nil {
			faults = append(faults, fmt.Errorf("%s: connection.url[%d]: %s: %w", config.Source("connection.url"), i+1, u, err))
		}
	}
	return errors.Join(faults...)
}

// cautions are warnings about who else could be the broker, or read the passwords of its
// URLs. unjudged adds those about names that are judged when they are looked up.
func cautions(config *config.Config, unjudged bool) (warnings []string) {
	for i, u := range config.URLs {
		warn := func(text string) {
			warnings = append(warnings, fmt.Sprintf("connection.url[%d]: %s %s", i+1, u, text))
		}
		switch {
		case u.IsEncrypted(), u.Scheme == transport.Unix:
		case u.IsLocal() && os.Geteuid() == 0:
			warn("is open to every user of this machine while the broker is down: they could be the broker and run " +
				"commands as root; use unix:PATH?owner=USER, with USER as whom the broker runs")
		case unjudged && u.MayLeave() && u.AllowPlaintext:
			warn("is not encrypted: everyone on the path can read along and answer for the broker (allow-plaintext)")
		case unjudged && u.MayLeave():
			warn("is not encrypted and refused whenever the name leads to another machine; use ssl or wss")
		}
	}
	if file := config.SecretFile(); file != "" && conf.OthersCanRead(file) {
		warnings = append(warnings, fmt.Sprintf("connection.url: every user of this machine can read the password in %s; "+
			"run chmod 600 on it, or use password-file", file))
	}
	return warnings
}

// brokers returns the brokers to connect to, each with its login. User, password and
// mount point of a URL take precedence over the file. batch keeps it from asking for a
// password.
func brokers(c *cli.Context, config *config.Config, batch bool, warn func(text string)) ([]agent.Broker, error) {
	var all []agent.Broker
	warned := make(map[string]bool) // several URLs have the same password
	for _, u := range config.URLs {
		given := cliapp.GivenLogin{User: c.String(cliapp.FlagUser), Password: c.String(cliapp.FlagPassword),
			PasswordFile: c.String(cliapp.FlagPasswordFile), ListedURL: c.IsSet(cliapp.FlagURL),
			Batch: batch}
		if config.FromFile("connection.user") {
			u.User = cmp.Or(u.User, config.User)
		}
		if config.FromFile("connection.password-file") && given.Password == "" && os.Getenv("SHV_PASSWORD") == "" &&
			u.Password == "" && u.ShaPass == "" && u.Token == "" {
			given.PasswordFile = config.PasswordFile
		}
		login, err := given.Credentials(u)
		for _, text := range login.Warnings {
			if !warned[text] {
				warn(text)
			}
			warned[text] = true
		}
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

// passwordFileUnused warns of a password file of the configuration that the environment hides;
// "" if it does not.
func passwordFileUnused(config *config.Config) string {
	if !config.FromFile("connection.password-file") || os.Getenv("SHV_PASSWORD") == "" {
		return ""
	}
	return config.Fault("connection.password-file",
		errors.New("not used: SHV_PASSWORD in the environment takes precedence")).Error()
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

// show prints the configuration instead of using it. What would keep this device from its
// brokers is a fault; what would refuse some of its users, who can be helped by the next
// change, is a warning.
func show(c *cli.Context, config *config.Config) error {
	return cliapp.ShowConfig(c, config.Print, config.Warnings, func() (warnings []string, faults error) {
		warnings = append(cautions(config, true), checkUsers(c, config)...)
		warning, faults := cliapp.CheckAudit(config.Audit)
		if warning != "" {
			warnings = append(warnings, "audit.file: "+warning)
		} else if faults != nil {
			faults = fmt.Errorf("audit.file: %w", faults)
		}
		return warnings, errors.Join(refused(config), checkReach(config), faults)
	})
}

// checkReach returns what would keep the device off the air.
func checkReach(config *config.Config) error {
	var faults []error
	check := func(key string, err error) {
		if err != nil {
			faults = append(faults, config.Fault(key, err))
		}
	}
	check("connection.mount", checkedMount(config.Mount))
	for i, u := range config.URLs {
		key := fmt.Sprintf("connection.url[%d]", i+1)
		check(key, transport.CheckDial(u))
		check(key, checkedMount(u.MountPoint))
	}
	if config.PasswordFile != "" && passwordFileUnused(config) == "" {
		check("connection.password-file", cliapp.CheckPasswordFile(config.PasswordFile))
	}
	return errors.Join(faults...)
}

func checkedMount(path string) error {
	if err := config.CheckMount(path); err != nil {
		return fmt.Errorf("mount point %w", err)
	}
	return nil
}

// checkUsers returns what would refuse users, or give them more than it says.
func checkUsers(c *cli.Context, config *config.Config) (warnings []string) {
	warn := func(about, text any) { warnings = append(warnings, fmt.Sprintf("%s: %s", about, text)) }
	if text := passwordFileUnused(config); text != "" {
		warnings = append(warnings, text)
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
		for _, text := range runas.Check(&policy.Grant{Rule: rule.String(), Commands: rule.Commands, Limits: rule.Limits}) {
			warn(rule, text)
		}
		for _, command := range rule.Commands {
			if command.RunsOthers() {
				warn(rule, fmt.Sprintf("commands: %q can start other programs or write files, as its users ask", command))
			}
		}
	}
	return warnings
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
