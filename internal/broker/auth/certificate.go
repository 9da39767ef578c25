package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CertName is one of the names by which a certificate is known, in the form that
// ParseCertName gives it: `sha256:` with the hex SHA-256 of the whole certificate,
// `cn:` with the common name of its subject, or `dns:`, `email:` or `uri:` with an
// alternative name. Names are compared as they are: a wildcard is only its text.
type CertName string

// String is the name as ParseCertName reads it.
func (n CertName) String() string { return string(n) }

// Kinds of a CertName.
const (
	certFingerprint = "sha256"
	certCommonName  = "cn"
	certDNS         = "dns"
	certEmail       = "email"
	certURI         = "uri"
)

// CertNameForms describes what ParseCertName reads, for messages.
const CertNameForms = "sha256:HEX, cn:NAME, dns:NAME, email:ADDRESS or uri:URI"

// ParseCertName reads a name of a configuration. A fingerprint may have colons
// between its bytes.
func ParseCertName(text string) (CertName, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch kind {
	case certFingerprint:
		name = strings.ToLower(strings.ReplaceAll(name, ":", ""))
		if sum, err := hex.DecodeString(name); err != nil || len(sum) != sha256.Size {
			return "", fmt.Errorf("invalid fingerprint %q (want sha256: and 64 hex digits)", text)
		}
	case certDNS:
		name = strings.ToLower(name)
	case certCommonName, certEmail, certURI:
	default:
		return "", fmt.Errorf("invalid name of a certificate %q (want %s)", text, CertNameForms)
	}
	if name == "" {
		return "", fmt.Errorf("invalid name of a certificate %q: nothing follows the colon (want %s)", text, CertNameForms)
	}
	return CertName(kind + ":" + name), nil
}

// Fingerprint returns the name that no other certificate has; CertNames has it first.
func Fingerprint(cert *x509.Certificate) CertName {
	sum := sha256.Sum256(cert.Raw)
	return CertName(certFingerprint + ":" + hex.EncodeToString(sum[:]))
}

// CertNames returns all names of a certificate, its fingerprint first; none for nil.
func CertNames(cert *x509.Certificate) []CertName {
	if cert == nil {
		return nil
	}
	names := []CertName{Fingerprint(cert)}
	add := func(kind, name string) {
		if name != "" {
			names = append(names, CertName(kind+":"+name))
		}
	}
	if name, ok := commonName(cert); ok {
		add(certCommonName, name)
	}
	for _, name := range cert.DNSNames {
		add(certDNS, strings.ToLower(name))
	}
	for _, name := range cert.EmailAddresses {
		add(certEmail, name)
	}
	for _, uri := range cert.URIs {
		add(certURI, uri.String())
	}
	return names
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// commonName returns the common name of the subject. A subject with several has none,
// since the authority may have checked another one than we would take.
func commonName(cert *x509.Certificate) (name string, ok bool) {
	for _, attribute := range cert.Subject.Names {
		if !attribute.Type.Equal(oidCommonName) {
			continue
		}
		if ok {
			return "", false
		}
		name, ok = attribute.Value.(string)
	}
	return name, ok
}

// ErrCertificate is the answer to a login whose certificate is missing or belongs to
// another user. It says nothing about users; an error that wraps it does, for the log
// alone.
var ErrCertificate = errors.New("the client certificate of this connection is not one of this user")

// addCertificates notes the names of a user's certificates.
func (d *Directory) addCertificates(u *User, names []CertName) (faults []Fault) {
	for _, name := range names {
		if other := d.certificates[name]; other != nil && other != u {
			faults = append(faults, Fault{Users, u.Name, fmt.Errorf("certificate %s belongs to user %q too", name,
				other.Name)})
		}
		d.certificates[name] = u
	}
	return faults
}

// holders returns the users to whom the names of a certificate belong.
func (d *Directory) holders(names []CertName) (users []*User) {
	for _, name := range names {
		if u := d.certificates[name]; u != nil && !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	return users
}

// forbids reports whether a certificate that belongs to other users keeps u from
// logging in. A certificate that belongs to no user keeps nobody out.
func (d *Directory) forbids(names []CertName, u *User) bool {
	holders := d.holders(names)
	return len(holders) > 0 && !slices.Contains(holders, u)
}

// checkCertificate checks a login of the type External. Without a user name, the
// certificate must belong to one user alone.
func checkCertificate(d *Directory, a Attempt) (Login, error) {
	holders := d.holders(a.Certificate)
	if a.User != "" {
		holders = slices.DeleteFunc(holders, func(u *User) bool { return u.Name != a.User })
	}
	switch {
	case len(a.Certificate) == 0:
		return Login{}, foreign("none was shown, or the listener has no client-ca")
	case len(holders) == 0 && a.User != "":
		return Login{}, foreign("%s is not in certificates of user %q", told(a.Certificate), a.User)
	case len(holders) == 0:
		return Login{}, foreign("%s is in certificates of no user", told(a.Certificate))
	case len(holders) > 1:
		return Login{}, foreign("%s belongs to several users, and the login names none", told(a.Certificate))
	}
	return admit(Login{User: holders[0], certificate: a.Certificate, external: true}, a)
}

// notYours refuses a login on a connection that shows a certificate of other users.
func notYours(a Attempt, user string) error {
	return foreign("%s belongs to other users, not to %q", told(a.Certificate), user)
}

// maxTold bounds the names of a certificate in a log line.
const maxTold = 8

// told returns the names of a certificate for the log: an operator can copy one.
func told(names []CertName) string {
	texts := make([]string, 0, maxTold+1)
	for i, name := range names {
		if i == maxTold {
			texts = append(texts, "…")
			break
		}
		texts = append(texts, string(name))
	}
	return strings.Join(texts, ", ")
}

func foreign(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCertificate, fmt.Sprintf(format, args...))
}
