package cliapp

import (
	"errors"
	"io"
	"testing"

	"github.com/urfave/cli/v2"

	"shvtools/internal/sys/conf"
)

// showing runs an application that shows a configuration.
func showing(t *testing.T, warnings []string, faults error, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runApp(t, func(c *cli.Context) error {
		print := func(w io.Writer, explain bool) error {
			text := "key: value\n"
			if explain {
				text = "key: value; meaning\n"
			}
			_, err := io.WriteString(w, text)
			return err
		}
		return ShowConfig(c, print, warnings, func() ([]string, error) { return []string{"now"}, faults })
	}, args)
}

func TestShownConfigurations(t *testing.T) {
	for _, tt := range []struct {
		name           string
		flag           string
		warnings       []string
		faults         error
		code           int
		stdout, stderr string
	}{
		{"print", "--print-config", []string{"odd"}, errors.New("not asked"), 0, "key: value\n", "shvtest: warning: odd\n"},
		{"check", "--check-config", []string{"odd"}, nil, 0,
			"key: value; meaning\nthe configuration can be used, with 2 warnings\n",
			"shvtest: warning: odd\nshvtest: warning: now\n"},
		{"faults", "--check-config", nil, errors.Join(errors.New("one"), errors.New("two")), 1, "",
			"shvtest: one\nshvtest: two\n"},
		{"faults within faults", "--check-config", nil, errors.Join(errors.Join(errors.New("one"), errors.New("two")),
			errors.New("three")),
			1, "", "shvtest: one\nshvtest: two\nshvtest: three\n"},
	} {
		code, stdout, stderr := showing(t, tt.warnings, tt.faults, tt.flag)
		if code != tt.code || stdout != tt.stdout || stderr != tt.stderr {
			t.Errorf("%s: %d, %q, %q", tt.name, code, stdout, stderr)
		}
	}
}

func TestFaultsOfFlagsAreUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		at     conf.Place
		code   int
		stderr string
	}{
		{conf.FlagPlace("wait"), 2, "shvtest: --wait: bad; see shvtest --help\n"},
		{conf.EnvPlace("WAIT"), 2, "shvtest: $WAIT: bad; see shvtest --help\n"},
		{conf.FilePlace("f"), 1, "shvtest: f: bad\n"},
		{conf.Place{}, 1, "shvtest: bad\n"},
	} {
		code, _, stderr := runApp(t, func(c *cli.Context) error {
			return ConfigError(c, &conf.Fault{Place: tt.at, Err: errors.New("bad")})
		}, nil)
		if code != tt.code || stderr != tt.stderr {
			t.Errorf("%v: %d, %q", tt.at, code, stderr)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for warnings, want := range []string{
		"the configuration is fine", "the configuration can be used, with 1 warning",
		"the configuration can be used, with 2 warnings",
	} {
		if got := verdict(warnings); got != want {
			t.Errorf("%d warnings: %s", warnings, got)
		}
	}
}
