package cliapp

import (
	"errors"
	"fmt"
	"strings"

	"shvtools/internal/shv/login"
	"shvtools/internal/sys/visible"
	"shvtools/internal/wire/transport"
)

const (
	envUser         = "SHV_USER"
	envPassword     = "SHV_PASSWORD"
	envPasswordFile = "SHV_PASSWORD_FILE"
)

// Login is a user and the password that belongs to it.
type Login struct {
	User     string
	Password string
	// Warnings are lines for stderr or a log about how the password was given, and about who
	// could read it or answer for the broker.
	Warnings []string
}

// loginInput holds all sources of a login. Empty texts count as not given, also those
// of the environment.
type loginInput struct {
	URL       transport.URL // the broker's
	ListedURL bool          // it is a word of the command line

	User         string // --user
	Password     string // --password
	PasswordFile string // --password-file

	LookupEnv func(name string) (string, bool)
	ReadFile  func(path string) (text, warning string, err error)
	Prompt    func(text string) (string, error) // fails without a terminal
}

// resolve chooses the login. User and password each come from the first of these
// sources that has it: a flag, the environment, the URL, the development default (for
// brokers on this machine, and the password only for that user), and a prompt (the
// password only). Within a source, a password takes precedence over the name of a
// file. A URL with a certificate needs neither: the broker knows whose it is.
func (in *loginInput) resolve() (Login, error) {
	var l Login
	if in.URL.IsEncrypted() && in.URL.NoVerify {
		l.warn("%s: the broker's certificate is not verified (verify=false)", in.URL)
	}
	if in.URL.MayLeave() && in.URL.AllowPlaintext {
		l.warn("%s is not encrypted: everyone on the path can read along and answer for the broker (%s)",
			in.URL, FlagAllowPlaintext)
	}
	if in.ListedURL && in.URL.HasSecret() {
		l.warn("--%s shows the password to everyone who lists processes; use %s, --%s or a configuration",
			FlagURL, envPasswordFile, FlagPasswordFile)
	}
	l.User = in.user()
	local := in.URL.IsLocal()
	if in.lacksUser() {
		return Login{}, Usagef("no user for %s; set --%s or %s", in.URL.Address(), FlagUser, envUser)
	}
	given, err := in.givenPassword(&l)
	switch {
	case err != nil:
		return Login{}, err
	case given, in.URL.Token != "", in.URL.ShaPass != "", in.URL.Cert != "":
		return l, nil // package client takes those of the URL
	case local && l.User == login.DevelopmentUser:
		l.Password = login.DevelopmentPassword
		return l, nil
	}
	who := l.User + "@" + in.URL.Address()
	l.Password, err = in.Prompt("Password for " + visible.Within(who, maxLine) + ": ")
	if err != nil {
		return Login{}, fmt.Errorf("no password for %s: cannot prompt for it: %w; set --%s, %s or %s",
			who, err, FlagPasswordFile, envPasswordFile, envPassword)
	}
	return l, nil
}

// lacksUser tells whether nothing says who logs in.
func (in *loginInput) lacksUser() bool {
	return in.user() == "" && in.URL.Token == "" && in.URL.Cert == ""
}

// user returns who logs in; "" if nobody was named, or a token or a certificate says it.
func (in *loginInput) user() string {
	user := firstOf(in.User, in.env(envUser), in.URL.User)
	if user == "" && in.URL.Token == "" && in.URL.Cert == "" && in.URL.IsLocal() {
		return login.DevelopmentUser
	}
	return user
}

// givenPassword fills in the password if a flag, the environment or the URL has one. It
// reports whether one of them does.
func (in *loginInput) givenPassword(l *Login) (bool, error) {
	if in.Password != "" {
		l.warn("--%s shows the password to everyone who lists processes; use %s or --%s",
			FlagPassword, envPasswordFile, FlagPasswordFile)
	}
	for _, source := range []struct{ password, file string }{
		{in.Password, in.PasswordFile},
		{in.env(envPassword), in.env(envPasswordFile)},
		{in.URL.Password, ""},
	} {
		switch {
		case source.password != "":
			l.Password = source.password
			return true, nil
		case source.file != "":
			text, warning, err := in.ReadFile(source.file)
			if err == nil {
				l.Password, err = passwordLine(text)
			}
			if err != nil {
				return false, fmt.Errorf("password file %s: %w", source.file, err)
			}
			if warning != "" {
				l.warn("password file %s: %s", source.file, warning)
			}
			return true, nil
		}
	}
	return false, nil
}

func (in *loginInput) env(name string) string {
	value, _ := in.LookupEnv(name)
	return value
}

func (l *Login) warn(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}

// passwordLine returns text without the newline that editors append. It refuses a
// second line, which would otherwise become part of a wrong password.
func passwordLine(text string) (string, error) {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	switch {
	case strings.TrimSpace(text) == "": // it may have been cut off; other cuts make a wrong password
		return "", errors.New("it is empty")
	case strings.ContainsAny(text, "\r\n"):
		return "", errors.New("it has more than one line")
	}
	return text, nil
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
