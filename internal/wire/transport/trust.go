package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// trust is what a listener shows of itself and how it verifies clients, from one reading of its
// files. It is immutable.
type trust struct {
	certFile    string
	config      *tls.Config
	caFile      string
	authorities []*x509.Certificate
	revoked     *revoked // nil without a list
	unended     []error  // files that seem to be cut off
	forgot      bool     // a reload took the lists away
}

// readTrust reads the files of a listener at u, whose scheme has TLS. The error has a line for each
// option at fault, as errors.Join has them.
func readTrust(u URL, o ListenOptions) (*trust, error) {
	t := &trust{certFile: cmp.Or(u.Cert, o.CertFile), caFile: u.ClientCA}
	var r pemReader
	pair, err := r.readPair(t.certFile, cmp.Or(u.Key, o.KeyFile))
	faults := []error{err}
	var pool *x509.CertPool
	switch {
	case u.ClientCA != "":
		pool, t.authorities, err = r.readPool("client-ca", u.ClientCA)
		faults = append(faults, ofOption("client-ca", err))
	case u.CRL != "":
		faults = append(faults, ofOption("crl", errNoClientCA))
	case u.RequireClientCert:
		faults = append(faults, ofOption("require-client-cert", errNoClientCA))
	}
	if u.ClientCA != "" && u.CRL != "" {
		t.revoked, err = r.readRevoked(u.CRL)
		faults = append(faults, ofOption("crl", err))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	t.unended = r.unended
	t.config = &tls.Config{
		MinVersion:         max(minTLS, o.MinTLS),
		CipherSuites:       suites,
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

// Errors of clients that came before a reload.
var (
	errNotShown = errors.New("the listener requires a certificate now, and the client has shown none")
	errNoTrust  = errors.New("the listener has no client-ca any more")
)

// verify verifies the chain that a client has shown, its own certificate first, at a later time. It
// accepts a revocation list that has become outdated, which is not the client's fault.
func (t *trust) verify(shown []*x509.Certificate) error {
	switch {
	case len(shown) == 0 && t.config.ClientAuth == tls.RequireAndVerifyClientCert:
		return errNotShown
	case len(shown) == 0:
		return nil
	case t.config.ClientCAs == nil:
		return errNoTrust
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

// outdated returns an error, an OptionError in each line, for what has ended at time now, or does not
// hold yet: the certificate, all authorities of clients, or a revocation list.
func (t *trust) outdated(now time.Time) error {
	var faults []error
	if own := t.config.Certificates[0].Leaf; own != nil {
		switch {
		case now.After(own.NotAfter):
			faults = append(faults, ofOption("cert", fmt.Errorf(
				"certificate %s expired on %s and clients reject it; replace it", t.certFile, date(own.NotAfter))))
		case now.Before(own.NotBefore):
			faults = append(faults, ofOption("cert", fmt.Errorf(
				"certificate %s is valid only from %s; check the clock, or replace it", t.certFile, date(own.NotBefore))))
		}
	}
	if ended := t.ended(now); len(ended) > 0 && len(ended) == len(t.authorities) {
		faults = append(faults, ended[0])
	}
	if t.revoked != nil {
		if err := t.revoked.current(now); err != nil {
			faults = append(faults, ofOption("crl", fmt.Errorf("%w; until then, clients of that authority are rejected", err)))
		}
	}
	return errors.Join(faults...)
}

// replaces returns an error, an OptionError in each line, for what t would lose of old, which is in
// force: something that is not outdated at time now, or what a revocation list knows.
func (t *trust) replaces(old *trust, now time.Time) error {
	was := make(map[string]bool) // options
	for _, each := range faultsOf(old.outdated(now)) {
		was[each.Option] = true
	}
	var faults []error
	for _, each := range faultsOf(t.outdated(now)) {
		if !was[each.Option] {
			faults = append(faults, each)
		}
	}
	if t.revoked != nil && old.revoked != nil {
		faults = append(faults, ofOption("crl", t.revoked.follows(old.revoked, old.authorities, t.authorities)))
	}
	return errors.Join(faults...)
}

// faultsOf are the lines of an error of outdated.
func faultsOf(err error) (all []*OptionError) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range joined.Unwrap() {
			all = append(all, each.(*OptionError))
		}
	}
	return all
}

// ended returns an OptionError for each authority of clients that is not valid at time now.
func (t *trust) ended(now time.Time) (all []error) {
	for _, ca := range t.authorities {
		if now.After(ca.NotAfter) || now.Before(ca.NotBefore) {
			all = append(all, ofOption("client-ca", fmt.Errorf("certificates to trust: %s: %s is valid from %s to %s only; "+
				"clients of it are rejected", t.caFile, ca.Subject, date(ca.NotBefore), date(ca.NotAfter))))
		}
	}
	return all
}

// maxNotice is how long before its end a certificate is warned of at most. One that is valid
// since 1970, for devices whose clock is not set, would be warned of for years.
const maxNotice = 60 * 24 * time.Hour

// notices returns the Notices of a listener, each as an OptionError.
func (t *trust) notices(now time.Time) (all []error) {
	all = append(all, t.unended...)
	if own := t.config.Certificates[0].Leaf; own != nil && !now.After(own.NotAfter) &&
		own.NotAfter.Sub(now) < min(own.NotAfter.Sub(own.NotBefore)/10, maxNotice) {
		all = append(all, ofOption("cert", fmt.Errorf(
			"certificate %s expires on %s; replace it and reload", t.certFile, date(own.NotAfter))))
	}
	for _, option := range faultsOf(t.outdated(now)) {
		all = append(all, ofOption(option.Option, fmt.Errorf("%w, and reload", option.Err)))
	}
	if t.forgot {
		all = append(all, ofOption("crl", errors.New("no revocation list any more: the certificates that it had revoked are "+
			"accepted again; name a list and reload, or restart to do without")))
	}
	if t.revoked != nil && !slices.ContainsFunc(t.authorities, t.revoked.has) {
		all = append(all, ofOption("crl", fmt.Errorf("revocation list %s: no list of an authority in %s, so none of their "+
			"certificates counts as revoked", t.revoked.file, t.caFile)))
	}
	if ended := t.ended(now); len(ended) < len(t.authorities) {
		all = append(all, ended...)
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
