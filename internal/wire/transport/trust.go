package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// trust is what a listener shows of itself, and how it judges clients, by one
// reading of its files. It does not change.
type trust struct {
	certFile string
	config   *tls.Config
	revoked  *revoked // nil without a list
}

// readTrust reads the files that a listener at u, of a scheme with TLS, names.
func readTrust(u URL, o ListenOptions) (*trust, error) {
	certFile := cmp.Or(u.Cert, o.CertFile)
	pair, err := readPair(certFile, cmp.Or(u.Key, o.KeyFile))
	if err != nil {
		return nil, err
	}
	t := &trust{certFile: certFile, config: &tls.Config{MinVersion: minTLS, Certificates: []tls.Certificate{*pair}, GetConfigForClient: admitHello}}
	if u.ClientCA == "" {
		if u.RequireClientCert || u.CRL != "" {
			return nil, errors.New("the options require-client-cert and crl of a listener go with client-ca")
		}
		return t, nil
	}
	if t.config.ClientCAs, err = readPool(u.ClientCA); err != nil {
		return nil, err
	}
	t.config.ClientAuth = tls.VerifyClientCertIfGiven
	if u.RequireClientCert {
		t.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	t.config.SessionTicketsDisabled = true // each connection shows its certificate anew
	if u.CRL == "" {
		return t, nil
	}
	if t.revoked, err = readRevoked(u.CRL); err != nil {
		return nil, err
	}
	t.config.VerifyConnection = func(state tls.ConnectionState) error {
		return t.revoked.check(state.VerifiedChains, time.Now())
	}
	return t, nil
}

// verify tells whether a client that was let in would be still, with the chain that
// it has shown, its own certificate first. A revocation list that is outdated by now
// is not held against it: it was not when the client came.
func (t *trust) verify(shown []*x509.Certificate) error {
	if t.config.ClientCAs == nil {
		return nil // certificates are not asked for
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

// notices are what an operator should know of the files of a listener at a time.
func (t *trust) notices(now time.Time) (texts []string) {
	if own := t.config.Certificates[0].Leaf; own != nil {
		switch left := own.NotAfter.Sub(now); {
		case left < 0:
			texts = append(texts, fmt.Sprintf("certificate %s has expired on %s: clients refuse it; put a new one there, and reload", t.certFile, date(own.NotAfter)))
		case left < own.NotAfter.Sub(own.NotBefore)/10:
			texts = append(texts, fmt.Sprintf("certificate %s expires on %s; put a new one there, and reload", t.certFile, date(own.NotAfter)))
		}
	}
	if t.revoked != nil {
		if err := t.revoked.current(now); err != nil {
			texts = append(texts, err.Error()+", and reload; until then no client with a certificate of that authority is let in")
		}
	}
	return texts
}

// validUntil is the end of the certificates that a client has shown: that of the chain
// which is good for longest.
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
