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

// DefaultURL is the broker that clients use unless they are given another one.
const DefaultURL = "tcp://127.0.0.1:3755"

// GivenLogin is what the command line and the configuration of a client say about its
// login.
type GivenLogin struct {
	User, Password, PasswordFile string
	Batch                        bool // do not ask for a password
	ListedURL                    bool // the URL is a word of the command line
}

// UserFor returns the user that Credentials would return for the broker at u, "" for
// none. It reads no file and does not prompt.
func (in GivenLogin) UserFor(u transport.URL) string {
	input := loginInput{URL: u, User: in.User, LookupEnv: os.LookupEnv}
	return input.user()
}

// Credentials returns the login for the broker at u, from in, the environment, u itself
// and the terminal, in this order (loginInput.resolve). Its warnings are for the caller to
// show.
func (in GivenLogin) Credentials(u transport.URL) (Login, error) {
	input := loginInput{
		URL:          u,
		ListedURL:    in.ListedURL,
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
	return input.resolve()
}

// Warn prints the warnings of the login, each as a line on the application's stderr.
func (l Login) Warn(c *cli.Context) {
	for _, warning := range l.Warnings {
		_, _ = fmt.Fprintf(c.App.ErrWriter, "%s: warning: %s\n", c.App.Name, oneLine(warning))
	}
}

// Errors of ConfiguredLogin. Whoever calls it knows what the configuration could say.
var (
	ErrNoUser     = errors.New("no user")
	ErrNoPassword = errors.New("no password")
)

// ConfiguredLogin returns the login of a connection that a configuration names. It
// neither reads the environment nor prompts. Its warnings are lines for a log. The error is
// ErrNoUser, ErrNoPassword, with the user who lacks one, or one that names the file.
func ConfiguredLogin(u transport.URL, user, passwordFile string) (Login, error) {
	input := loginInput{
		URL:          u,
		User:         user,
		PasswordFile: passwordFile,
		LookupEnv:    func(string) (string, bool) { return "", false },
		ReadFile:     readPasswordFile,
		Prompt:       func(string) (string, error) { return "", ErrNoPassword },
	}
	if input.lacksUser() {
		return Login{}, ErrNoUser
	}
	login, err := input.resolve()
	if errors.Is(err, ErrNoPassword) {
		return Login{User: input.user()}, ErrNoPassword
	}
	return login, err
}

// CheckPasswordFile returns why the password cannot be read from a file.
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

// readPasswordFile reads a password file, which may be a pipe. It returns a warning if
// other users of the machine can read the file.
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
		warning = "every user of this machine can read it; run chmod 600 on it"
	}
	return string(data), warning, nil
}

// withoutPath returns the cause alone; the caller's text names the file.
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
