package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// trust is what a listener shows of itself and how it verifies clients, from one reading of its
// files. It is immutable.
type trust struct {
	certFile string
	config   *tls.Config
	revoked  *revoked // nil without a list
}

// readTrust reads the files of a listener at u, whose scheme has TLS. The error has a line for each
// option at fault, as errors.Join has them.
func readTrust(u URL, o ListenOptions) (*trust, error) {
	t := &trust{certFile: cmp.Or(u.Cert, o.CertFile)}
	pair, err := readPair(t.certFile, cmp.Or(u.Key, o.KeyFile))
	faults := []error{err}
	var pool *x509.CertPool
	switch {
	case u.ClientCA != "":
		pool, err = readPool(u.ClientCA)
		faults = append(faults, ofOption("client-ca", err))
	case u.CRL != "":
		faults = append(faults, ofOption("crl", errNoClientCA))
	case u.RequireClientCert:
		faults = append(faults, ofOption("require-client-cert", errNoClientCA))
	}
	if u.ClientCA != "" && u.CRL != "" {
		t.revoked, err = readRevoked(u.CRL)
		faults = append(faults, ofOption("crl", err))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	t.config = &tls.Config{
		MinVersion:         minTLS,
		Certificates:       []tls.Certificate{*pair},
		GetConfigForClient: admitHello,
	}
	if pool == nil {
		return t, nil
	}
	t.config.ClientCAs = pool
	t.config.ClientAuth = tls.VerifyClientCertIfGiven
	if u.RequireClientCert {
		t.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	t.config.SessionTicketsDisabled = true // each connection shows its certificate anew
	if t.revoked == nil {
		return t, nil
	}
	t.config.VerifyConnection = func(state tls.ConnectionState) error {
		return t.revoked.check(state.VerifiedChains, time.Now())
	}
	return t, nil
}

var errNoClientCA = errors.New("the listener options require-client-cert and crl need client-ca")

// verify verifies the chain that a client has shown, its own certificate first, at a later time. It
// accepts a revocation list that has become outdated, which is not the client's fault.
func (t *trust) verify(shown []*x509.Certificate) error {
	if t.config.ClientCAs == nil {
		return nil // the listener asks for no certificate
	}
	between := x509.NewCertPool()
	for _, cert := range shown[1:] {
		between.AddCert(cert)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: t.config.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil || t.revoked == nil {
		return err
	}
	return t.revoked.check(chains, time.Time{})
}

// maxNotice is how long before its end a certificate is warned of at most. One that is valid
// since 1970, for devices whose clock is not set, would be warned of for years.
const maxNotice = 60 * 24 * time.Hour

// notices returns the Notices of a listener, each as an OptionError.
func (t *trust) notices(now time.Time) (all []error) {
	if own := t.config.Certificates[0].Leaf; own != nil {
		switch left := own.NotAfter.Sub(now); {
		case left < 0:
			all = append(all, ofOption("cert", fmt.Errorf(
				"certificate %s expired on %s and clients reject it; replace it and reload", t.certFile, date(own.NotAfter))))
		case left < min(own.NotAfter.Sub(own.NotBefore)/10, maxNotice):
			all = append(all, ofOption("cert", fmt.Errorf(
				"certificate %s expires on %s; replace it and reload", t.certFile, date(own.NotAfter))))
		}
	}
	if t.revoked != nil {
		if err := t.revoked.current(now); err != nil {
			all = append(all, ofOption("crl", fmt.Errorf(
				"%w and reload; until then, clients of that authority are rejected", err)))
		}
	}
	return all
}

// validUntil returns when the client's certificates expire: the first of the chain that lasts
// longest.
func validUntil(chains [][]*x509.Certificate) (ends time.Time) {
	for _, chain := range chains {
		first := chain[0].NotAfter
		for _, cert := range chain {
			if cert.NotAfter.Before(first) {
				first = cert.NotAfter
			}
		}
		if first.After(ends) {
			ends = first
		}
	}
	return ends
}
