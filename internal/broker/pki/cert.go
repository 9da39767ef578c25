package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"shvtools/internal/sys/durable"
	"slices"
	"strings"
	"time"
)

// How long certificates are valid. The list of revoked ones, and devices' certificates,
// last as long as the authority: a list that ended would lock out the whole fleet, and a
// device whose certificate ended takes a visit. What shuts out a device is the list.
const (
	authorityYears = 10
	leafDays       = 825 // of brokers and users; some TLS libraries accept no more of a server
	// backdate is for clocks that are a little behind.
	backdate = time.Hour
)

// unsetClock is the time of a device without a battery when it starts. The certificates
// that devices verify, those of the authority and the broker, are valid from then on, or
// a device could not connect before something had set its clock. The broker verifies
// the others, and its clock is right.
var unsetClock = time.Unix(0, 0).UTC()

// checkClock returns an error for a clock that was never set: certificates would begin and
// end decades too early.
func checkClock(now time.Time) error {
	if now.Year() < firstYear {
		return fmt.Errorf("the clock of this machine is not set: it is %s; set it", now.Format(time.RFC3339))
	}
	return nil
}

// firstYear is when this was written.
const firstYear = 2026

const (
	serialBytes  = 16
	serialDigits = 2 * serialBytes
)

// Types of PEM blocks.
const (
	pemCert = "CERTIFICATE"
	pemKey  = "PRIVATE KEY"
	pemList = "X509 CRL"
)

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// newSerial returns 128 random bits.
func newSerial() *big.Int {
	var b [serialBytes]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[0] |= 1              // never zero, and never short
	return new(big.Int).SetBytes(b[:])
}

func serialText(serial *big.Int) string { return fmt.Sprintf("%0*x", serialDigits, serial) }

// newKey returns a key of the curve that all peers have, P-256: C++ programs with an old
// Qt have no Ed25519.
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pemOf(pemKey, der), err
}

// newAuthority returns the certificate of a new authority. It signs no other authority.
func newAuthority(key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(public)
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		// No two authorities have the same name: lists are found by it.
		Subject:               pkix.Name{CommonName: "shvbroker CA " + hex.EncodeToString(sum[:4])},
		NotBefore:             unsetClock,
		NotAfter:              now.UTC().AddDate(authorityYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// sign makes a key and a certificate, and stores the certificate among the issued ones.
// It returns the files of the pair.
func (a *Authority) sign(kind Kind, name string, hosts []string) (Issued, []file, error) {
	all, err := a.Certificates()
	if err != nil {
		return Issued{}, nil, err
	}
	now := a.now()
	issued := Issued{Kind: kind, Name: name}
	for _, c := range all {
		if c.Kind == kind && (kind == Broker || c.Name == name) && c.valid(now) {
			issued.Before = append(issued.Before, c)
		}
	}
	key, keyText, err := newKey()
	if err != nil {
		return Issued{}, nil, err
	}
	cert, err := signed(kind, name, hosts, a.cert, a.key, key.Public().(*ecdsa.PublicKey), now)
	if err != nil {
		return Issued{}, nil, err
	}
	text := pemOf(pemCert, cert.Raw)
	issued.Name, issued.Serial, issued.Until = cert.Subject.CommonName, serialText(cert.SerialNumber), cert.NotAfter
	if err := durable.Replace(a.path(caDir, issuedDir, issued.Serial+".pem"), text, openMode); err != nil {
		return Issued{}, nil, err
	}
	a.issued = append(a.issued, cert)
	return issued, pairFiles(kind, text, keyText), nil
}

// pairFiles are the files of a certificate. The key comes first: what dies between both
// leaves a pair that is refused, not an old certificate that seems to be the new one.
func pairFiles(kind Kind, cert, key []byte) []file {
	return []file{
		{name: string(kind) + ".key", data: key, mode: secretMode},
		{name: string(kind) + ".pem", data: cert, mode: openMode},
	}
}

// signed returns a certificate of an authority. That of a broker is for hosts, the
// first of which is its common name; those of devices and users show who they are, and
// in the organizational unit what.
func signed(kind Kind, name string, hosts []string, ca *x509.Certificate, caKey *ecdsa.PrivateKey,
	public *ecdsa.PublicKey, now time.Time) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: name, OrganizationalUnit: []string{string(kind)}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.UTC().AddDate(0, 0, leafDays),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	switch kind {
	case Broker:
		template.Subject.CommonName = hosts[0]
		template.NotBefore = unsetClock
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		for _, host := range withLocal(hosts) {
			if addr, err := netip.ParseAddr(host); err == nil {
				template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
			} else {
				template.DNSNames = append(template.DNSNames, host)
			}
		}
	case Device:
		template.NotAfter = ca.NotAfter
	}
	if template.NotAfter.After(ca.NotAfter) {
		template.NotAfter = ca.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, public, caKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// local are names of the broker for those on its own machine.
var local = []string{"localhost", "127.0.0.1", "::1"}

// withLocal returns hosts and local, each once.
func withLocal(hosts []string) (all []string) {
	for _, host := range append(slices.Clip(hosts), local...) {
		if !slices.Contains(all, host) {
			all = append(all, host)
		}
	}
	return all
}

// namesOf returns the names in a broker's certificate, the first one being that of its
// subject.
func namesOf(cert *x509.Certificate) []string {
	names := append([]string{cert.Subject.CommonName}, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return withLocal(names)
}

func kindOf(cert *x509.Certificate) Kind {
	if len(cert.Subject.OrganizationalUnit) != 1 {
		return ""
	}
	return Kind(cert.Subject.OrganizationalUnit[0])
}

// newList returns the list that follows old, which is nil for the first one.
func newList(ca *x509.Certificate, key *ecdsa.PrivateKey, old *x509.RevocationList, more []x509.RevocationListEntry,
	now time.Time) (*x509.RevocationList, []byte, error) {
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-backdate), NextUpdate: ca.NotAfter,
		RevokedCertificateEntries: more}
	if old != nil {
		template.Number.Add(old.Number, big.NewInt(1))
		template.RevokedCertificateEntries = slices.Concat(old.RevokedCertificateEntries, more)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, ca, key)
	if err != nil {
		return nil, nil, err
	}
	list, err := x509.ParseRevocationList(der)
	return list, pemOf(pemList, der), err
}

func readCert(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, pemCert)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(path, pemKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if ec, ok := key.(*ecdsa.PrivateKey); ok {
		return ec, nil
	}
	if err == nil {
		err = errors.New("not a key of an elliptic curve")
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// readList reads the list of an authority.
func readList(path string, ca *x509.Certificate) (*x509.RevocationList, error) {
	der, err := readPEM(path, pemList)
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err == nil {
		err = list.CheckSignatureFrom(ca)
	}
	if err == nil && list.Number == nil {
		err = errors.New("a list without a number")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// maxName bounds a name: X.509 has 64 bytes for a common name.
const maxName = 64

const (
	alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	nameBytes    = alphanumeric + "._-"
)

// CheckName returns an error for what cannot be the name of a device or user: it becomes
// a user, a file, a common name and a part of a path.
func CheckName(name string) error {
	if !plainName(name) {
		return fmt.Errorf("invalid name %q (want at most %d of a-z, A-Z, 0-9, ., _ and -, the first a letter or digit)",
			name, maxName)
	}
	if _, err := hex.DecodeString(name); err == nil && len(name) == serialDigits {
		return fmt.Errorf("invalid name %q: it looks like a serial number", name)
	}
	return nil
}

func plainName(name string) bool {
	return name != "" && len(name) <= maxName && strings.Trim(name, nameBytes) == "" &&
		strings.ContainsRune(alphanumeric, rune(name[0]))
}

// checkMount returns an error for what cannot be the place of a device.
func checkMount(mount string) error {
	for name := range strings.SplitSeq(mount, "/") {
		if !plainName(name) {
			return fmt.Errorf("invalid mount point %q (want names of a-z, A-Z, 0-9, ., _ and - with slashes between, such as "+
				"site/pump7)", mount)
		}
	}
	if len(mount) > 512 || strings.Count(mount, "/") >= 32 {
		return fmt.Errorf("mount point %q is too long (want at most 512 bytes and 32 names)", mount)
	}
	return nil
}

// checkHosts returns an error for names and addresses that a broker cannot have.
func checkHosts(hosts []string) error {
	if len(hosts) == 0 {
		return errors.New("the broker has no name (want one by which devices and users reach it)")
	}
	for _, host := range hosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			if addr.IsUnspecified() || addr.Zone() != "" {
				return fmt.Errorf("invalid address %q (want one by which devices and users reach the broker)", host)
			}
			continue
		}
		for label := range strings.SplitSeq(host, ".") {
			if !plainName(label) || len(host) > 253 {
				return fmt.Errorf("invalid name %q of a broker (want one such as broker.example, or an IP address)", host)
			}
		}
	}
	if len(hosts[0]) > maxName {
		return fmt.Errorf("name %q of the broker is too long for the first one (want at most %d bytes)", hosts[0], maxName)
	}
	return nil
}
