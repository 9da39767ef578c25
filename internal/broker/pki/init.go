package pki

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/sys/durable"
)

// Made is what Init has made.
type Made struct {
	Names    []string // in the broker's certificate
	User     string   // the first account, which may do everything
	Password string   // its password, which is stored nowhere
}

// firstUser is the account that Init makes.
const firstUser = "admin"

// Init makes an authority in dir, which must not exist or be empty, with a certificate
// for a broker of these names, and a configuration. dir appears complete or not at all.
func Init(dir string, names []string) (Made, error) {
	if err := checkHosts(names); err != nil {
		return Made{}, err
	}
	if err := checkClock(time.Now()); err != nil {
		return Made{}, err
	}
	dir, err := emptyDir(dir)
	if err != nil {
		return Made{}, err
	}
	made := Made{Names: withLocal(names), User: firstUser, Password: rand.Text()}
	hash := auth.HashPassword(made.Password)
	return made, build(dir, func(temporary string) error { return fill(temporary, names, hash, time.Now()) })
}

// emptyDir returns the absolute path of what is a directory without files, or nothing yet.
func emptyDir(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case len(entries) > 0:
		return "", fmt.Errorf("%s is not empty; nothing was changed there (want a new directory)", dir)
	}
	return filepath.EvalSymlinks(path) // the directory is replaced, not a link to it
}

// fill puts all files into a new directory.
func fill(dir string, names []string, hash string, now time.Time) error {
	key, keyText, err := newKey()
	if err != nil {
		return err
	}
	ca, err := newAuthority(key, now)
	if err != nil {
		return err
	}
	crl, crlText, err := newList(ca, key, nil, nil, now)
	if err != nil {
		return err
	}
	for _, name := range []string{caDir, filepath.Join(caDir, issuedDir), brokerDir} {
		if err := os.Mkdir(filepath.Join(dir, name), dirMode); err != nil {
			return err
		}
	}
	a := &Authority{dir: dir, cert: ca, key: key, crl: crl, now: func() time.Time { return now }}
	err = writeAll(a.path(caDir), []file{
		{name: caKeyFile, data: keyText, mode: secretMode},
		a.caCopy(),
		{name: crlFile, data: crlText, mode: openMode},
	})
	if err != nil {
		return err
	}
	issued, pair, err := a.sign(Broker, "", names)
	if err != nil {
		return err
	}
	err = writeAll(a.path(brokerDir), append(pair, a.caCopy(),
		file{name: crlFile, data: crlText, mode: openMode},
		file{name: accountsFile, data: accounts{}.text(), mode: openMode},
		file{name: filepath.Base(ConfigFile("")), data: brokerConfig(issued.Name, hash), mode: secretMode}))
	if err != nil {
		return err
	}
	return durable.SyncDir(dir)
}
