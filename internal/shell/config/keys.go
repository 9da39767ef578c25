package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"shvtools/internal/shell/sshargs"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// key is one setting that a host can have.
type key struct {
	name   string
	single bool // it makes sense for one device only
	read   func(r *conf.Reader, n *conf.Node, h *Host, source Source)
	fill   func(h, other *Host)
	show   func(h *Host) (text string, source Source, ok bool)
}

// keys are all of them.
var keys []key

// init, since the methods of Host read the table.
func init() {
	keys = []key{
		newKey("url", func(h *Host) *Value[transport.URL] { return &h.URL }, scalar(url), url.Show),
		newKey("allow-plaintext", func(h *Host) *Value[bool] { return &h.AllowPlaintext }, scalar(conf.Switch),
			conf.Switch.Show),
		onlyForOne(newKey("path", func(h *Host) *Value[string] { return &h.Path }, scalar(path), path.Show)),
		newKey("user", func(h *Host) *Value[string] { return &h.User }, scalar(notEmpty), notEmpty.Show),
		newKey("shell", func(h *Host) *Value[string] { return &h.Shell }, scalar(notEmpty), notEmpty.Show),
		newKey("password-file", func(h *Host) *Value[string] { return &h.PasswordFile }, readFileName, notEmpty.Show),
		newKey("escape", func(h *Host) *Value[sshargs.Escape] { return &h.Escape }, scalar(escape), escape.Show),
		newKey("env", func(h *Host) *Value[[]string] { return &h.Env }, readEnv,
			func(list []string) string { return strings.Join(list, " ") }),
		newKey("connect-timeout",
			func(h *Host) *Value[time.Duration] { return &h.ConnectTimeout }, scalar(seconds), seconds.Show),
	}
}

type readFunc[T any] func(r *conf.Reader, n *conf.Node) (T, bool)

func newKey[T any](name string, field func(h *Host) *Value[T], read readFunc[T], show func(T) string) key {
	return key{
		name: name,
		read: func(r *conf.Reader, n *conf.Node, h *Host, source Source) {
			if value, ok := read(r, n); ok {
				*field(h) = Value[T]{Value: value, Set: true, Source: source}
			}
		},
		fill: func(h, other *Host) {
			if !field(h).Set {
				*field(h) = *field(other)
			}
		},
		show: func(h *Host) (string, Source, bool) {
			v := field(h)
			if !v.Set {
				return "", Source{}, false
			}
			return show(v.Value), v.Source, true
		},
	}
}

func onlyForOne(k key) key {
	k.single = true
	return k
}

func scalar[T any](t conf.Type[T]) readFunc[T] {
	return func(r *conf.Reader, n *conf.Node) (T, bool) { return t.Read(r, n) }
}

var (
	url = conf.Type[transport.URL]{
		Name: "URL", Want: "a URL such as ssl://broker:3756",
		Parse: transport.ParseClientURL, Show: transport.URL.String,
	}
	path = conf.Type[string]{
		Name: "path", Want: "an SHV path such as test/agent",
		Parse: func(text string) (string, error) {
			clean := sshargs.DecodePath(text)
			switch {
			case clean == "":
				return "", conf.ErrInvalid
			case strings.Contains(text, "://"):
				// It may hold a password.
				return "", errors.New("a URL (want an SHV path such as test/agent; the broker's URL belongs to url)")
			}
			return clean, nil
		},
		Show: func(path string) string { return path },
	}
	notEmpty = conf.Type[string]{
		Name: "text", Want: "a text",
		Parse: func(text string) (string, error) {
			if text == "" {
				return "", errors.New("empty (want a text)")
			}
			return text, nil
		},
		Show: func(text string) string { return text },
	}
	escape = conf.Type[sshargs.Escape]{
		Name: "escape character", Want: `one such as "~", ^A or none`,
		Parse: func(text string) (sshargs.Escape, error) {
			e, err := sshargs.ParseEscape(text)
			if err != nil {
				err = conf.ErrInvalid
			}
			return e, err
		},
		Show: sshargs.Escape.String,
	}
	// seconds is a duration that ssh's options could say as well.
	seconds = conf.Type[time.Duration]{
		Name: conf.Duration.Name, Want: conf.Duration.Want,
		Parse: func(text string) (time.Duration, error) {
			d, err := conf.Duration.Parse(text)
			if err == nil && d%time.Second != 0 {
				err = fmt.Errorf("duration %q has parts of a second (want %s)", text, conf.Duration.Want)
			}
			return d, err
		},
		Show: conf.Duration.Show,
	}
)

// readFileName reads a file name, which is beside the configuration unless it is
// absolute or below ~.
func readFileName(r *conf.Reader, n *conf.Node) (string, bool) {
	text, ok := notEmpty.Read(r, n)
	if !ok || strings.HasPrefix(text, "~/") {
		return text, ok
	}
	if filepath.IsAbs(text) {
		return text, true
	}
	return filepath.Join(filepath.Dir(n.Place().File()), text), true
}

func readEnv(r *conf.Reader, n *conf.Node) ([]string, bool) {
	pattern := conf.Type[string]{
		Name: "name", Want: "a name such as LANG or LC_*",
		Parse: func(text string) (string, error) {
			if sshargs.CheckEnvPattern(text) != nil {
				return "", conf.ErrInvalid
			}
			return text, nil
		},
	}
	return pattern.ReadList(r, n, "[LANG, LC_*]"), true
}
