package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shell/config"
	"shvtools/internal/shell/sshargs"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// defaultEnv is what of our environment is offered without being asked for: the
// language, and at a terminal what that can do.
var (
	defaultEnv  = []string{"LANG", "LC_*"}
	terminalEnv = []string{"TERM", "COLORTERM"}
)

// settings are the command line, the environment and the configuration, each
// setting from the first of them that has it.
type settings struct {
	url            transport.URL
	path           string
	login          cliapp.GivenLogin
	shell          string
	escape         byte
	connectTimeout time.Duration
	alive          time.Duration
	sendEnv        []string
	setEnv         []sshargs.EnvVar
	quiet          bool // no messages
	silent         bool // no errors either
	host           config.Host
	warnings       []string // for stderr
}

// settle puts the settings together.
func settle(args *sshargs.Args) (*settings, error) {
	config, err := loadConfig(args.Config, false)
	if err != nil {
		return nil, cliapp.PrintFaults(os.Stderr, "shvrsh", err)
	}
	host := config.Lookup(args.Alias)
	set := &settings{
		host:           host,
		path:           host.Path.Or(args.Path),
		shell:          host.Shell.Value,
		connectTimeout: args.ConnectTimeout.Or(host.ConnectTimeout.Value),
		alive:          args.ServerAliveInterval.Value,
		sendEnv:        append(append(append([]string(nil), defaultEnv...), host.Env.Value...), args.SendEnv...),
		setEnv:         args.SetEnv,
		quiet:          args.LogLevel.Set && args.LogLevel.Value <= sshargs.LogError,
		silent:         args.LogLevel.Set && args.LogLevel.Value == sshargs.LogQuiet,
	}
	if args.ServerAliveInterval.Set && set.alive == 0 {
		set.alive = -1
	}
	if escape := args.Escape.Or(host.Escape.Or(sshargs.Escape{Char: '~'})); !escape.None {
		set.escape = escape.Char
	}
	if set.url, err = brokerURL(args, &host); err != nil {
		return nil, err
	}
	if set.url.AllowPlaintext, err = allowPlaintext(args, &host); err != nil {
		return nil, err
	}
	set.login = cliapp.GivenLogin{
		User:         args.User.Value,
		Password:     args.Password,
		PasswordFile: args.PasswordFile,
		Batch:        args.BatchMode,
		ListedURL:    args.URL != "" || args.ServerHost != "",
	}
	if !set.login.ListedURL && os.Getenv("SHV_URL") == "" {
		set.warnings = readableSecret(&host)
	}
	if config != nil {
		set.warnings = append(slices.Clone(config.Warnings), set.warnings...)
	}
	if set.url.User == "" {
		set.url.User = host.User.Value // behind the environment
	}
	if os.Getenv("SHV_PASSWORD") == "" && os.Getenv("SHV_PASSWORD_FILE") == "" && args.PasswordFile == "" {
		set.login.PasswordFile = expandHome(host.PasswordFile.Value)
	}
	return set, nil
}

// loadConfig reads the file that -F names, or the user's own if there is one.
func loadConfig(named string, check bool) (*config.Config, error) {
	switch named {
	case "none":
		return nil, nil
	case "":
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, nil // without a home there is no configuration
		}
		return config.File{Path: filepath.Join(dir, "shvrsh", "config.yaml"), Check: check}.Load()
	}
	return config.File{Path: named, Named: true, Check: check}.Load()
}

// brokerURL is where the broker is: of the command line, the environment, the
// configuration, or the default.
func brokerURL(args *sshargs.Args, host *config.Host) (u transport.URL, err error) {
	server := args.ServerHost
	if args.ServerScheme != "" && server != "" && !strings.Contains(server, "://") {
		server = args.ServerScheme + "://" + server
	}
	switch text := firstOf(args.URL, server, os.Getenv("SHV_URL")); {
	case text != "":
		u, err = transport.ParseClientURL(text)
	case host.URL.Set:
		u = host.URL.Value
	default:
		u, err = transport.ParseURL(cliapp.DefaultURL)
	}
	if err != nil {
		return u, cliapp.UsageError{Err: err}
	}
	if args.Port.Set {
		u.Port = strconv.Itoa(args.Port.Value)
	}
	return u, nil
}

// allowPlaintext is whether the broker may be reached without encryption off loopback: as
// the command line, the environment or the configuration says.
func allowPlaintext(args *sshargs.Args, host *config.Host) (bool, error) {
	if args.AllowPlaintext {
		return true, nil
	}
	if text := os.Getenv(cliapp.EnvAllowPlaintext); text != "" {
		allow, err := conf.Switch.Of(text)
		if err != nil {
			err = cliapp.Usagef("$%s: %w", cliapp.EnvAllowPlaintext, err)
		}
		return allow, err
	}
	return host.AllowPlaintext.Value, nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	home, err := os.UserHomeDir()
	if !ok || err != nil {
		return path
	}
	return filepath.Join(home, rest)
}

// env is the environment that is offered to the device, which judges it.
func (s *settings) env(environ []string, terminal bool) (offered []tunnel.EnvVar) {
	patterns := s.sendEnv
	if terminal {
		patterns = append(append([]string(nil), terminalEnv...), patterns...)
	}
	set := make(map[string]bool)
	for _, v := range s.setEnv {
		set[v.Name] = true
		offered = append(offered, tunnel.EnvVar{Name: v.Name, Value: v.Value})
	}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		// SHV_* may be a password, and is about our programs.
		if sshargs.EnvWanted(patterns, name) && !set[name] && !strings.HasPrefix(name, "SHV_") {
			offered = append(offered, tunnel.EnvVar{Name: name, Value: value})
		}
	}
	return offered
}

// print writes the settings as `ssh -G` does: a key and its value in a line. By
// this git takes a program for OpenSSH.
func (s *settings) print(w io.Writer) {
	escape := "none"
	if s.escape != 0 {
		escape = sshargs.Escape{Char: s.escape}.String()
	}
	for _, line := range [][2]string{
		{"host", s.path},
		{"hostname", s.url.Host},
		{"port", s.url.Port},
		{"user", s.login.UserFor(s.url)},
		{"passwordfile", firstOf(s.login.PasswordFile, os.Getenv("SHV_PASSWORD_FILE"), "none")},
		{"url", s.url.String()},
		{"allowplaintext", yesNo(s.url.AllowPlaintext)},
		{"path", s.path},
		{"shell", firstOf(s.shell, "none")},
		{"batchmode", yesNo(s.login.Batch)},
		{"connecttimeout", seconds(s.connectTimeout)},
		{"serveraliveinterval", seconds(s.alive)},
		{"escapechar", escape},
		{"sendenv", strings.Join(s.sendEnv, " ")},
	} {
		_, _ = fmt.Fprintln(w, line[0], line[1])
	}
	for _, setting := range s.host.Settings() {
		_, _ = fmt.Fprintf(w, "# %s: %s\n", setting.Source, setting.Key)
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func seconds(d time.Duration) string {
	if d <= 0 {
		return "none"
	}
	return strconv.Itoa(int(d / time.Second))
}
