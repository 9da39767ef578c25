package cliapp

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"shvtools/internal/sys/tty"
	"shvtools/internal/wire/transport"
)

// DefaultURL is the broker of clients that are told none.
const DefaultURL = "tcp://127.0.0.1:3755"

// BrokerURL returns the URL of --url, or DefaultURL.
func BrokerURL(c *cli.Context) (transport.URL, error) {
	u, err := transport.ParseClientURL(firstOf(c.String(FlagURL), DefaultURL))
	if err != nil {
		return u, UsageError{Err: err}
	}
	return u, nil
}

// Credentials returns the login for the broker at u, from the flags of LoginFlags,
// the environment, u itself, and the terminal; see LoginInput.Resolve. Warnings go
// to the application's stderr.
func Credentials(c *cli.Context, u transport.URL) (Login, error) {
	return GivenLogin{
		User:         c.String(FlagUser),
		Password:     c.String(FlagPassword),
		PasswordFile: c.String(FlagPasswordFile),
	}.Credentials(c, u)
}

// GivenLogin is what a program has read by itself in the place of LoginFlags.
type GivenLogin struct {
	User, Password, PasswordFile string
	Batch                        bool // nobody is there to be asked
}

// UserFor is the user that Credentials gives for the broker at u, "" where there is
// none; it reads no file and asks nobody.
func (in GivenLogin) UserFor(u transport.URL) string {
	input := LoginInput{URL: u, User: in.User, LookupEnv: os.LookupEnv}
	return input.user()
}

// Credentials is the function of that name, with in for the flags.
func (in GivenLogin) Credentials(c *cli.Context, u transport.URL) (Login, error) {
	input := LoginInput{
		URL:          u,
		User:         in.User,
		Password:     in.Password,
		PasswordFile: in.PasswordFile,
		LookupEnv:    os.LookupEnv,
		ReadFile:     readPasswordFile,
		Prompt:       tty.ReadPassword,
	}
	if in.Batch {
		input.Prompt = func(string) (string, error) { return "", errors.New("batch mode") }
	}
	login, err := input.Resolve()
	for _, warning := range login.Warnings {
		_, _ = fmt.Fprintf(c.App.ErrWriter, "%s: warning: %s\n", c.App.Name, oneLine(warning))
	}
	return login, err
}

// ConfiguredLogin is the login of a connection that a configuration names: nothing of
// it comes from the environment or from somebody who is asked. Warnings are lines
// for a log.
func ConfiguredLogin(u transport.URL, user, passwordFile string) (Login, error) {
	input := LoginInput{
		URL:          u,
		User:         user,
		PasswordFile: passwordFile,
		LookupEnv:    func(string) (string, bool) { return "", false },
		ReadFile:     readPasswordFile,
		Prompt:       func(string) (string, error) { return "", errors.New("nobody is there") },
	}
	return input.Resolve()
}

// CheckPasswordFile tells why no password can be taken from a file.
func CheckPasswordFile(path string) error {
	text, _, err := readPasswordFile(path)
	if err == nil {
		_, err = passwordLine(text)
	}
	if err != nil {
		return fmt.Errorf("password file %s: %w", path, err)
	}
	return nil
}

// readPasswordFile reads a password file, which may be a pipe, and warns where
// everyone on the machine can read it too.
func readPasswordFile(path string) (text, warning string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", "", withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", "", withoutPath(err)
	}
	const limit = 4096
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return "", "", withoutPath(err)
	case len(data) > limit:
		return "", "", fmt.Errorf("it is longer than %d bytes", limit)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
		warning = "everyone on this machine can read it; chmod 600 it"
	}
	return string(data), warning, nil
}

// withoutPath drops what the caller's own text says already.
func withoutPath(err error) error {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
