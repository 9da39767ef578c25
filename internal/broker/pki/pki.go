// Package pki is the authority of a broker: a directory with the key that signs the
// certificates of the broker, its devices and its users, and what each of them is handed
// (design.md 11, Certificates of our own). It is the one implementation that makes
// authorities and certificates in the broker; `shvbroker --init`, --issue and --revoke are
// its user interface.
//
// It serves nobody over a network, and verifies nobody: package transport does.
//
// The directory:
//
//	ca/           the authority: ca.key, ca.pem, crl.pem, and each certificate in issued/
//	broker/       what goes to the broker: shvbroker.yaml, broker.pem, broker.key, ca.pem,
//	              crl.pem, accounts.yaml
//	devices/NAME/ what goes to a device: shvagent.yaml, device.pem, device.key, ca.pem
//	users/NAME/   what goes to a person: config.yaml, user.pem, user.key, ca.pem
//
// A certificate is in issued/ before it is anywhere else, so none exists that cannot be
// revoked. The list in ca/ says what was revoked; that in broker/ is a copy.
package pki

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"shvtools/internal/sys/durable"
	"slices"
	"strings"
	"time"
)

// Kind is whom a certificate is for.
type Kind string

// The kinds.
const (
	Broker Kind = "broker"
	Device Kind = "device"
	User   Kind = "user"
)

// Roles of the accounts that are made, as the configuration of Init has them.
const (
	deviceRole = "devices"
	// DefaultRole is the role of a user unless a Request names another one.
	DefaultRole = "operator"
)

// Names of files and directories.
const (
	caDir, brokerDir, issuedDir  = "ca", "broker", "issued"
	caFile, caKeyFile, crlFile   = "ca.pem", "ca.key", "crl.pem"
	brokerCertFile, accountsFile = "broker.pem", "accounts.yaml"
)

// ConfigFile returns the configuration that Init made in dir.
func ConfigFile(dir string) string { return filepath.Join(dir, brokerDir, "shvbroker.yaml") }

// Authority is an authority that this program alone uses until Close.
type Authority struct {
	dir    string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	crl    *x509.RevocationList
	issued []*x509.Certificate // by this authority; nil: they have not been read yet
	all    accounts            // as in their file; nil: they have not been read yet
	unlock func()
	now    func() time.Time
}

// Open opens the authority of a directory that Init has made. While another program has
// it open, Open waits until ctx ends, at most for lockWait.
func Open(ctx context.Context, dir string) (a *Authority, err error) {
	ca := filepath.Join(dir, caDir)
	if _, err := os.Stat(ca); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no authority here (want a directory that shvbroker --init has made)", dir)
	}
	unlock, err := lock(ctx, ca)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	a = &Authority{dir: dir, unlock: unlock, now: time.Now}
	if a.cert, err = readCert(filepath.Join(ca, caFile)); err != nil {
		return nil, err
	}
	if a.key, err = readKey(filepath.Join(ca, caKeyFile)); err != nil {
		return nil, err
	}
	if !a.key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, fmt.Errorf("%s: %s is not the key of %s; restore both from a backup", ca, caKeyFile, caFile)
	}
	if err := checkClock(a.now()); err != nil {
		return nil, err
	}
	if now := a.now(); !now.Before(a.cert.NotAfter) {
		return nil, fmt.Errorf("%s: the authority expired on %s; make a new one with shvbroker --init",
			filepath.Join(ca, caFile), a.cert.NotAfter.Format(time.DateOnly))
	}
	// Without the list, a new one would forget what was revoked.
	if a.crl, err = readList(filepath.Join(ca, crlFile), a.cert); err != nil {
		return nil, fmt.Errorf("%w; restore it from a backup, or copy %s of the broker there", err, crlFile)
	}
	if now := a.now(); now.Before(a.crl.ThisUpdate) {
		return nil, fmt.Errorf("the clock of this machine is behind the revocation list %s: it is %s; set the clock",
			filepath.Join(ca, crlFile), now.Format(time.RFC3339))
	}
	if err := a.checkLatest(); err != nil {
		return nil, err
	}
	return a, nil
}

// checkLatest returns an error if the broker's copy of the list is newer than the list, as after that was
// taken from a backup: copying it to the broker would let in again whom it does not know.
func (a *Authority) checkLatest() error {
	path := a.path(brokerDir, crlFile)
	theirs, err := readList(path, a.cert)
	if err != nil || theirs.Number.Cmp(a.crl.Number) <= 0 {
		return nil // what is wrong with a copy is mended by the next one
	}
	return fmt.Errorf("%s is older than the broker's copy %s and forgets what was revoked since; copy that there",
		a.path(caDir, crlFile), path)
}

// Close lets other programs use the authority.
func (a *Authority) Close() { a.unlock() }

func (a *Authority) path(names ...string) string {
	return filepath.Join(append([]string{a.dir}, names...)...)
}

// Request asks for a certificate.
type Request struct {
	Kind Kind
	Name string // of the device or user
	// Names are those by which the broker is reached; the first one stands in the files of
	// devices and users. Without any, a renewed certificate has those of before.
	Names []string
	Mount string // of a device; "": where its account is, else site/NAME
	Role  string // of a user; "": that of its account, else DefaultRole
	// Scheme and Port of the broker, for the files of devices and users.
	Scheme, Port string
}

// Issued is what was made.
type Issued struct {
	Kind   Kind
	Name   string
	Serial string
	Until  time.Time
	Dir    string // with its files
	Mount  string // of a device
	Role   string // of a user
	// Before are certificates of the same device, user or broker that are still valid.
	Before []Certificate
	// Kept is the configuration in Dir that existed already; "": it is new.
	Kept string
	// Accounts is the file of accounts, which has changed.
	Accounts string
}

// Issue makes a certificate with a new key, or renews one, and the account that goes with
// it. A device or user has one account, and a device a place of its own.
func (a *Authority) Issue(r Request) (Issued, error) {
	if r.Kind == Broker {
		return a.issueBroker(r)
	}
	if err := CheckName(r.Name); err != nil {
		return Issued{}, err
	}
	accounts, err := a.readAccounts()
	if err != nil {
		return Issued{}, err
	}
	account, err := accounts.with(r)
	if err != nil {
		return Issued{}, err
	}
	if err := a.checkOther(r); err != nil {
		return Issued{}, err
	}
	host, err := a.brokerHost()
	if err != nil {
		return Issued{}, err
	}
	issued, pair, err := a.sign(r.Kind, r.Name, nil)
	if err != nil {
		return Issued{}, err
	}
	issued.Mount, issued.Role = account.mount(), account.role()
	issued.Dir, issued.Accounts = a.path(string(r.Kind)+"s", r.Name), a.path(brokerDir, accountsFile)
	config := file{name: "shvagent.yaml", mode: openMode, keep: true}
	url := clientURL(r, host)
	if r.Kind == User {
		config.name, config.data, issued.Mount = "config.yaml", userConfig(r.Name, url), ""
	} else {
		config.data, issued.Role = deviceConfig(r.Name, url, issued.Mount), ""
	}
	if exists(filepath.Join(issued.Dir, config.name)) {
		issued.Kept = filepath.Join(issued.Dir, config.name)
	}
	if err := a.writeAccounts(accounts); err != nil {
		return Issued{}, err
	}
	if err := a.copyTrust(); err != nil {
		return Issued{}, err
	}
	return issued, handOver(issued.Dir, append(pair, a.caCopy(), config))
}

// checkOther returns an error if a certificate of another kind with the name of r is valid: the account of
// r would be that certificate's too, since both have its name.
func (a *Authority) checkOther(r Request) error {
	all, err := a.Certificates()
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Name == r.Name && c.Kind != r.Kind && c.Kind != Broker && c.valid(a.now()) {
			return fmt.Errorf("%q has a valid certificate as a %s (%s); revoke it, or choose another name",
				r.Name, c.Kind, c.Serial)
		}
	}
	return nil
}

func (a *Authority) issueBroker(r Request) (Issued, error) {
	names := r.Names
	if len(names) == 0 {
		old, err := readCert(a.path(brokerDir, brokerCertFile))
		if err != nil {
			return Issued{}, fmt.Errorf("%w; name the broker by --name", err)
		}
		names = namesOf(old)
	}
	if err := checkHosts(names); err != nil {
		return Issued{}, err
	}
	issued, pair, err := a.sign(Broker, "", names)
	if err != nil {
		return Issued{}, err
	}
	issued.Dir = a.path(brokerDir)
	if err := a.copyTrust(); err != nil {
		return Issued{}, err
	}
	return issued, handOver(issued.Dir, pair)
}

// Certificate is one that the authority has signed.
type Certificate struct {
	Kind    Kind
	Name    string
	Serial  string
	Until   time.Time
	Revoked time.Time // zero: it is not

	cert *x509.Certificate
}

// Certificates returns all that were issued, by kind, name and end.
func (a *Authority) Certificates() ([]Certificate, error) {
	if err := a.readIssued(); err != nil {
		return nil, err
	}
	revoked := make(map[string]time.Time)
	for _, entry := range a.crl.RevokedCertificateEntries {
		revoked[serialText(entry.SerialNumber)] = entry.RevocationTime
	}
	all := make([]Certificate, 0, len(a.issued))
	for _, cert := range a.issued {
		serial := serialText(cert.SerialNumber)
		all = append(all, Certificate{kindOf(cert), cert.Subject.CommonName, serial, cert.NotAfter, revoked[serial], cert})
	}
	slices.SortFunc(all, func(x, y Certificate) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name), x.Until.Compare(y.Until),
			cmp.Compare(x.Serial, y.Serial))
	})
	return all, nil
}

// readIssued reads the issued certificates, once.
func (a *Authority) readIssued() error {
	if a.issued != nil {
		return nil
	}
	dir := a.path(caDir, issuedDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	issued := make([]*x509.Certificate, 0, len(entries))
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".pem" {
			continue // what a crash has left
		}
		cert, err := readCert(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		issued = append(issued, cert)
	}
	a.issued = issued
	return nil
}

// valid reports whether the certificate can be used.
func (c Certificate) valid(now time.Time) bool { return c.Revoked.IsZero() && now.Before(c.Until) }

// Revoke revokes the certificates of a device or user, or the one with a serial number in
// hex. If the owner has no other certificate, the account ends too. What was revoked
// before is revoked again without harm, so that a Revoke that was cut off can be repeated.
func (a *Authority) Revoke(target string) (revoked []Certificate, err error) {
	all, err := a.Certificates()
	if err != nil {
		return nil, err
	}
	serial := strings.ToLower(strings.ReplaceAll(target, ":", ""))
	match := func(c Certificate) bool { return c.Kind != Broker && c.Name == target }
	if _, err := hex.DecodeString(serial); err == nil && len(serial) == serialDigits {
		match = func(c Certificate) bool { return c.Serial == serial }
	}
	now := a.now()
	var entries []x509.RevocationListEntry
	for _, c := range all {
		if !match(c) {
			continue
		}
		if c.Revoked.IsZero() {
			c.Revoked = now
			entries = append(entries, x509.RevocationListEntry{SerialNumber: c.cert.SerialNumber, RevocationTime: now})
		}
		revoked = append(revoked, c)
	}
	if revoked == nil {
		return nil, fmt.Errorf("%q has no certificate of the authority in %s (want the name of a device or user, or a "+
			"serial number of %d hex digits)", target, a.dir, serialDigits)
	}
	if entries != nil {
		if err := a.revoke(entries); err != nil {
			return nil, err
		}
	}
	if err := a.copyTrust(); err != nil {
		return nil, err
	}
	for _, owner := range revoked {
		stays := func(c Certificate) bool {
			gone := slices.ContainsFunc(revoked, func(r Certificate) bool { return r.Serial == c.Serial })
			return c.Name == owner.Name && c.Kind == owner.Kind && !gone && c.valid(now)
		}
		if owner.Kind == Broker || slices.ContainsFunc(all, stays) {
			continue
		}
		if err := a.removeAccount(owner.Kind, owner.Name); err != nil {
			return nil, err
		}
	}
	return revoked, nil
}

// revoke signs and stores a list with more entries.
func (a *Authority) revoke(more []x509.RevocationListEntry) error {
	list, text, err := newList(a.cert, a.key, a.crl, more, a.now())
	if err != nil {
		return err
	}
	if err := durable.Replace(a.path(caDir, crlFile), text, openMode); err != nil {
		return err
	}
	a.crl = list
	return nil
}

// copyTrust makes what the broker has of the authority equal to what is in ca/.
func (a *Authority) copyTrust() error {
	list := file{name: crlFile, mode: openMode, data: pemOf(pemList, a.crl.Raw)}
	for _, f := range []file{a.caCopy(), list} {
		path := a.path(brokerDir, f.name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, f.data) {
			continue
		}
		if err := durable.Replace(path, f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (a *Authority) caCopy() file {
	return file{name: caFile, mode: openMode, data: pemOf(pemCert, a.cert.Raw)}
}

// brokerHost is the name by which devices and users are told to reach the broker.
func (a *Authority) brokerHost() (string, error) {
	cert, err := readCert(a.path(brokerDir, brokerCertFile))
	if err != nil {
		return "", fmt.Errorf("%w; the first name in it is what devices and users connect to", err)
	}
	return cert.Subject.CommonName, nil
}

// readPEM returns the only block of a file.
func readPEM(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s: not one whole %s in PEM form; it may have been cut off", path, strings.ToLower(kind))
	}
	return block.Bytes, nil
}
