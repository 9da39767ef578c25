package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"shvtools/internal/device/policy"
	"shvtools/internal/wire/transport"
)

// setting is one value with its names.
type setting struct {
	key       string // in the file; a dot is a map in it
	flag, env string // "": none
	about     string
	list      bool
	set       func(c *Config, values []string) error
	show      func(c *Config) string
}

func (s setting) apply(c *Config, values []string) error {
	if !s.list && len(values) != 1 {
		return errors.New("it is a list; one value was expected")
	}
	return s.set(c, values)
}

// The default file of --conn-status-file is the C++ agent's.
const defaultStatusFile = "/tmp/shvagent/conn-status.txt"

func defaults() *Config {
	return &Config{
		URLs:       []transport.URL{{Scheme: "tcp", Host: "127.0.0.1", Port: transport.DefaultPort}},
		Mount:      "test/agent",
		Heartbeat:  time.Minute,
		Timeout:    10 * time.Second,
		StatusFile: defaultStatusFile,
		Files:      Files{Max: 1 << 30},
		Commands:   Commands{Time: 5 * time.Minute, Output: 4 << 20},
		Total:      32,
		Policy:     policy.Default(),
		sources:    make(map[string]string),
	}
}

// settings are all of them but the rules, in the order in which they are printed.
var settings = []setting{
	{key: "connection.url", flag: "url", env: "SHV_URL", about: "the brokers, tried in this order", list: true, set: setURLs, show: showURLs},
	text("connection.user", "user", "SHV_USER", "who logs in there", func(c *Config) *string { return &c.User }, nil),
	text("connection.password-file", "password-file", "SHV_PASSWORD_FILE", "where the password is", func(c *Config) *string { return &c.PasswordFile }, nil),
	text("connection.mount", "mount", "", "where the device is in the broker's tree", func(c *Config) *string { return &c.Mount }, checkMount),
	text("connection.device-id", "device-id", "", "what the broker may find the mount point by", func(c *Config) *string { return &c.DeviceID }, nil),
	duration("connection.heartbeat", "heartbeat", "time between pings; the broker gives the device up after three", func(c *Config) *time.Duration { return &c.Heartbeat }, time.Second, 24*time.Hour),
	duration("connection.timeout", "", "how long connecting and logging in may take", func(c *Config) *time.Duration { return &c.Timeout }, time.Second, 10*time.Minute),
	text("files.root", "sysfs-rootdir", "", "the directory that is served below sys/fs", func(c *Config) *string { return &c.Files.Root }, nil),
	{key: "files.read-only", flag: "fs-read-only", about: "nobody may change what is there", set: setReadOnly, show: func(c *Config) string { return strconv.FormatBool(c.Files.ReadOnly) }},
	size("files.max-file", "fs-max-file", "what a file there may grow to; 0: to any", func(c *Config) *int64 { return &c.Files.Max }, 0, math.MaxInt64),
	duration("commands.time", "cmd-timeout", "how long what runCmd and runScript run may take", func(c *Config) *time.Duration { return &c.Commands.Time }, time.Second, 24*time.Hour),
	size("commands.output", "cmd-max-output", "what it may write to stdout and stderr", func(c *Config) *int64 { return &c.Commands.Output }, 1, MaxOutput),
	text("conn-status-file", "conn-status-file", "", "holds 1 while connected, else 0", func(c *Config) *string { return &c.StatusFile }, nil),
	{key: "conn-status-update-interval", flag: "conn-status-update-interval", about: "how often that file is written; 0: never", set: setStatusEvery, show: func(c *Config) string { return c.StatusEvery.String() }},
	text("socket", "socket", "", "where `shvagent status` asks", func(c *Config) *string { return &c.Socket }, nil),
	duration("drain", "drain", "how long sessions and calls may go on when the agent stops", func(c *Config) *time.Duration { return &c.Drain }, 0, 24*time.Hour),
	number("sessions.total", "sessions at once, running calls of runCmd and runScript among them", func(c *Config) *int { return &c.Total }, 1),
	number("sessions.per-user", "those of one user, who must be told then; 0: as many as in all", func(c *Config) *int { return &c.PerUser }, 0),
}

func text(key, flag, env, about string, field func(*Config) *string, check func(string) error) setting {
	return setting{key: key, flag: flag, env: env, about: about,
		set: func(c *Config, values []string) error {
			if check != nil {
				if err := check(values[0]); err != nil {
					return err
				}
			}
			*field(c) = values[0]
			return nil
		},
		show: func(c *Config) string { return *field(c) },
	}
}

func duration(key, flag, about string, field func(*Config) *time.Duration, lowest, highest time.Duration) setting {
	return setting{key: key, flag: flag, about: about,
		set: func(c *Config, values []string) (err error) {
			*field(c), err = parseDuration(values[0], lowest, highest)
			return err
		},
		show: func(c *Config) string { return field(c).String() },
	}
}

func parseDuration(text string, lowest, highest time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is no time such as 90s or 1h30m", text)
	case d < lowest || d > highest:
		return 0, fmt.Errorf("%v is not from %v to %v", d, lowest, highest)
	}
	return d, nil
}

func size(key, flag, about string, field func(*Config) *int64, lowest, highest int64) setting {
	return setting{key: key, flag: flag, about: about,
		set: func(c *Config, values []string) error {
			n, err := ParseSize(values[0])
			if err == nil && (n < lowest || n > highest) {
				err = fmt.Errorf("%d bytes are not from %d to %d", n, lowest, highest)
			}
			if err == nil {
				*field(c) = n
			}
			return err
		},
		show: func(c *Config) string { return strconv.FormatInt(*field(c), 10) },
	}
}

func setReadOnly(c *Config, values []string) error {
	if values[0] != "true" && values[0] != "false" {
		return fmt.Errorf("%q is neither true nor false", values[0])
	}
	c.Files.ReadOnly = values[0] == "true"
	return nil
}

const mostSessions = 10000

func number(key, about string, field func(*Config) *int, lowest int) setting {
	return setting{key: key, about: about,
		set: func(c *Config, values []string) error {
			n, err := strconv.Atoi(values[0])
			if err != nil || n < lowest || n > mostSessions {
				return fmt.Errorf("%q is no number from %d to %d", values[0], lowest, mostSessions)
			}
			*field(c) = n
			return nil
		},
		show: func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

func setURLs(c *Config, values []string) error {
	var urls []transport.URL
	for _, value := range values {
		u, err := transport.ParseClientURL(value)
		if err != nil {
			return err
		}
		urls = append(urls, u)
	}
	if len(urls) == 0 {
		return errors.New("it names no broker")
	}
	c.URLs = urls
	return nil
}

func showURLs(c *Config) string {
	texts := make([]string, len(c.URLs))
	for i, u := range c.URLs {
		texts[i] = u.String() // without a password
	}
	return strings.Join(texts, " ")
}

func checkMount(text string) error {
	if strings.Trim(text, "/") == "" {
		return errors.New("it needs the path where the device is to be, such as test/agent")
	}
	return nil
}

// setStatusEvery takes the C++ agent's bare seconds, too.
func setStatusEvery(c *Config, values []string) (err error) {
	text := values[0]
	if _, bare := strconv.Atoi(text); bare == nil {
		text += "s"
	}
	c.StatusEvery, err = parseDuration(text, 0, 24*time.Hour)
	return err
}
