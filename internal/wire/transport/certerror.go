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

// CertificateError is a connection that failed for a certificate, the own one or
// that of the peer.
type CertificateError struct {
	Err    error  // what is wrong, and with whose
	Advice string // what to do about it
}

// Error has both, in one line.
func (e *CertificateError) Error() string { return e.Err.Error() + "; " + e.Advice }

// Unwrap gives what is wrong.
func (e *CertificateError) Unwrap() error { return e.Err }

// brokerCertError tells people what is wrong with the certificate of the broker at u;
// any other error of a handshake stays as it is.
func brokerCertError(u URL, err error) error {
	const whose = "the broker's certificate"
	if errors.Is(err, ErrRevoked) {
		return &CertificateError{fmt.Errorf("%s: %w", whose, err), "somebody may pretend to be the broker: ask who runs it"}
	}
	advice, cause := invalidCert(err)
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &name):
		cause, advice = otherName(name), "use one of its names in the URL, or have it made for "+name.Host
	case errors.As(err, &authority):
		cause, advice = authority, "name the certificate of who has signed it by the option ca of the URL"
		if u.CA != "" {
			advice = u.CA + " does not have the certificate of who has signed it"
		}
	case cause == nil:
		return err
	case advice == "":
		advice = "the broker needs another one"
	}
	return &CertificateError{fmt.Errorf("%s: %w", whose, cause), advice}
}

// otherName is what x509 says, with the names that it leaves out.
func otherName(err x509.HostnameError) error {
	names := slices.Clone(err.Certificate.DNSNames)
	for _, ip := range err.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{"no name"}
	}
	return fmt.Errorf("it is for %s, and not for %s", strings.Join(names, ", "), err.Host)
}

// clientCertError is the same for the certificate of a client of ours.
func clientCertError(err error) error {
	var failed *tls.CertificateVerificationError
	switch {
	case errors.Is(err, ErrRevoked):
		return &CertificateError{err, "who uses it needs a new one"}
	case errors.Is(err, errOutdated):
		return &CertificateError{err, "then reload"}
	case err.Error() == noClientCert:
		return &CertificateError{errors.New("no client certificate, and the listener has require-client-cert"), "the client's URL needs cert and key"}
	case !errors.As(err, &failed):
		return err
	}
	advice, cause := invalidCert(err)
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &authority):
		cause, advice = authority, "the file of client-ca does not have the certificate of who has signed it"
	case cause == nil:
		cause, advice = failed.Err, "the client needs another one"
	case advice == "":
		advice = "the client needs another one"
	}
	whose := "the client"
	if len(failed.UnverifiedCertificates) > 0 {
		whose = failed.UnverifiedCertificates[0].Subject.String()
	}
	return &CertificateError{fmt.Errorf("certificate of %s: %w", whose, cause), advice}
}

// noClientCert is what crypto/tls says of a client without a certificate; it has no value
// for that.
const noClientCert = "tls: client didn't provide a certificate"

// invalidCert finds what is wrong with a certificate by itself.
func invalidCert(err error) (advice string, cause error) {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) {
		return "", nil
	}
	if invalid.Reason != x509.Expired {
		return "", invalid
	}
	if begins := invalid.Cert.NotBefore; time.Now().Before(begins) {
		return "set the clock of this machine", fmt.Errorf("%s is good only from %s on: %w", invalid.Cert.Subject, date(begins), invalid)
	}
	return "it has to be renewed, if the clock of this machine is right",
		fmt.Errorf("%s has expired on %s: %w", invalid.Cert.Subject, date(invalid.Cert.NotAfter), invalid)
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Alerts with which a peer refuses a certificate (RFC 8446, 6.2).
const (
	alertBadCertificate      tls.AlertError = 42
	alertRevoked             tls.AlertError = 44
	alertExpired             tls.AlertError = 45
	alertUnknown             tls.AlertError = 46
	alertUnknownAuthority    tls.AlertError = 48
	alertCertificateRequired tls.AlertError = 116
)

// brokerRefusal tells people what the broker has to say about our certificate; any
// other error stays as it is.
func brokerRefusal(u URL, err error) error {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return err
	}
	ours := "our certificate " + u.Cert
	if u.Cert == "" {
		ours = "that we show none"
	}
	advice := ""
	switch remote.Err.Error() { // crypto/tls has no value for them on a TCP connection
	case alertCertificateRequired.Error():
		advice = "add cert and key to the URL"
	case alertExpired.Error():
		advice = "renew it"
	case alertUnknownAuthority.Error():
		advice = "have it signed by an authority of the listener's client-ca"
	case alertRevoked.Error(), alertBadCertificate.Error(), alertUnknown.Error():
		advice = "it was revoked, or is not fit for this: the broker's log says why"
	default:
		return err
	}
	return &CertificateError{fmt.Errorf("the broker refuses %s: %w", ours, err), advice}
}

// tlsClient is our side of the TLS of a connection. Over TLS 1.3 the broker judges our
// certificate after the handshake is done for us.
type tlsClient struct {
	*tls.Conn
	url  URL
	read chan error // has how reading has failed
}

// alertWait is how long what the broker said last may take to be read.
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

// Write fails with what the broker said where that is why: it closes the connection
// after it, and writing may be the first to notice.
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
