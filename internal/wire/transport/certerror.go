package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// CertificateError is the failure of a connection because of a certificate, our own or the peer's.
type CertificateError struct {
	Err    error  // whose certificate, and what is wrong
	Advice string // what to do about it
}

// Error returns both in one line.
func (e *CertificateError) Error() string { return e.Err.Error() + "; " + e.Advice }

// Unwrap returns Err.
func (e *CertificateError) Unwrap() error { return e.Err }

// brokerCertError explains a handshake that failed because of the certificate of the broker at u.
// It returns any other error as it is.
func brokerCertError(u URL, err error) error {
	const whose = "the broker's certificate"
	if errors.Is(err, ErrRevoked) {
		return &CertificateError{fmt.Errorf("%s: %w", whose, err),
			"somebody may be impersonating the broker; ask its administrator"}
	}
	advice, cause := invalidCert(err)
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &name):
		cause, advice = otherName(name), "use one of its names in the URL, or get a certificate for "+name.Host
	case errors.As(err, &authority):
		cause, advice = authority, "add ca=FILE with the certificate of its authority to the URL"
		if u.CA != "" {
			advice = u.CA + " does not hold the certificate of its authority"
		}
	case cause == nil:
		return err
	case advice == "":
		advice = "the broker needs another certificate"
	}
	return &CertificateError{fmt.Errorf("%s: %w", whose, cause), advice}
}

// otherName is the error of x509 with the names that it leaves out.
func otherName(err x509.HostnameError) error {
	names := slices.Clone(err.Certificate.DNSNames)
	for _, ip := range err.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{"no name"}
	}
	return fmt.Errorf("it is valid for %s, not for %s", strings.Join(names, ", "), err.Host)
}

// clientCertError is brokerCertError for the certificate of a client, at a listener.
func clientCertError(err error) error {
	var failed *tls.CertificateVerificationError
	switch {
	case errors.Is(err, ErrRevoked):
		return &CertificateError{err, "its user needs a new one"}
	case errors.Is(err, errOutdated):
		return &CertificateError{err, "then reload"}
	case err.Error() == noClientCert:
		return &CertificateError{
			errors.New("no client certificate, but the listener has require-client-cert"),
			"add cert and key to the client's URL"}
	case !errors.As(err, &failed):
		return err
	}
	advice, cause := invalidCert(err)
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &authority):
		cause, advice = authority, "the file of client-ca does not hold the certificate of its authority"
	case cause == nil:
		cause, advice = failed.Err, "the client needs another certificate"
	case advice == "":
		advice = "the client needs another certificate"
	}
	whose := "the client"
	if len(failed.UnverifiedCertificates) > 0 {
		whose = failed.UnverifiedCertificates[0].Subject.String()
	}
	return &CertificateError{fmt.Errorf("certificate of %s: %w", whose, cause), advice}
}

// noClientCert is the text of crypto/tls for a client without a certificate, for which it has no
// error value.
const noClientCert = "tls: client didn't provide a certificate"

// invalidCert returns what is wrong with a certificate by itself, or nil, and what to do about it.
func invalidCert(err error) (advice string, cause error) {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) {
		return "", nil
	}
	if invalid.Reason != x509.Expired {
		return "", invalid
	}
	if begins := invalid.Cert.NotBefore; time.Now().Before(begins) {
		return "set the clock of this machine",
			fmt.Errorf("%s is valid only from %s: %w", invalid.Cert.Subject, date(begins), invalid)
	}
	return "renew it if the clock of this machine is right",
		fmt.Errorf("%s expired on %s: %w", invalid.Cert.Subject, date(invalid.Cert.NotAfter), invalid)
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Alerts by which a peer rejects a certificate (RFC 8446 section 6.2).
const (
	alertBadCertificate      tls.AlertError = 42
	alertRevoked             tls.AlertError = 44
	alertExpired             tls.AlertError = 45
	alertUnknown             tls.AlertError = 46
	alertUnknownAuthority    tls.AlertError = 48
	alertCertificateRequired tls.AlertError = 116
)

// brokerRefusal explains an alert by which the broker at u rejects our certificate. It returns any
// other error as it is.
func brokerRefusal(u URL, err error) error {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return err
	}
	ours := "the certificate " + u.Cert
	if u.Cert == "" {
		ours = "a client without a certificate"
	}
	advice := ""
	switch remote.Err.Error() { // crypto/tls has no error values for alerts on a TCP connection
	case alertCertificateRequired.Error():
		advice = "add cert and key to the URL"
	case alertExpired.Error():
		advice = "renew it"
	case alertUnknownAuthority.Error():
		advice = "have it signed by an authority of the listener's client-ca"
	case alertRevoked.Error(), alertBadCertificate.Error(), alertUnknown.Error():
		advice = "it was revoked or is not valid for this use; see the broker's log"
	default:
		return err
	}
	return &CertificateError{fmt.Errorf("the broker rejected %s: %w", ours, err), advice}
}

// tlsClient is our side of a TLS connection. Over TLS 1.3 the broker verifies our certificate when
// the handshake is already done for us, so a rejection arrives with the first read.
type tlsClient struct {
	*tls.Conn
	url  URL
	read chan error // capacity 1: the error of the first read that failed
}

// alertWait is how long Write waits for a read to find the broker's alert.
const alertWait = time.Second

func newTLSClient(conn *tls.Conn, u URL) *tlsClient {
	return &tlsClient{Conn: conn, url: u, read: make(chan error, 1)}
}

func (c *tlsClient) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil {
		return n, nil
	}
	err = brokerRefusal(c.url, err)
	select {
	case c.read <- err:
	default:
	}
	return n, err
}

// Write returns the broker's rejection, if there was one, instead of its own error. The broker
// closes the connection after the alert, and a write may be the first to notice that.
func (c *tlsClient) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	wait := time.NewTimer(alertWait)
	defer wait.Stop()
	var said *CertificateError
	select {
	case reading := <-c.read:
		if errors.As(reading, &said) {
			return n, said
		}
	case <-wait.C:
	}
	return n, err
}
