package transport

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Causes that errors about certificates wrap.
var (
	// ErrRevoked: a certificate was revoked by its authority.
	ErrRevoked = errors.New("was revoked")
	// errOutdated: a revocation list is past its next update, so later revocations are unknown.
	errOutdated = errors.New("is outdated")
)

// revoked holds the revocation lists of one file.
type revoked struct {
	file  string
	lists []*x509.RevocationList
}

// readRevoked reads lists in PEM form. It accepts outdated ones.
func (r *pemReader) readRevoked(file string) (*revoked, error) {
	_, blocks, err := r.read("crl", "revocation list", file)
	if err != nil {
		return nil, err
	}
	lists := &revoked{file: file}
	for _, block := range blocks {
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("revocation list %s: %w", file, err)
		}
		lists.lists = append(lists.lists, list)
	}
	if lists.lists == nil {
		return nil, fmt.Errorf("revocation list %s: no list in PEM form", file)
	}
	return lists, nil
}

// current returns an error if a list is outdated.
func (r *revoked) current(now time.Time) error {
	for _, list := range r.lists {
		if err := r.outdated(list, now); err != nil {
			return err
		}
	}
	return nil
}

func (r *revoked) outdated(list *x509.RevocationList, now time.Time) error {
	if list.NextUpdate.IsZero() || now.Before(list.NextUpdate) {
		return nil
	}
	return fmt.Errorf("revocation list %s of %s %w: it expired on %s; replace it by the authority's new list",
		r.file, list.Issuer, errOutdated, date(list.NextUpdate))
}

// check returns an error if each of the peer's chains holds a revoked certificate, or one for which
// only an outdated list exists. A peer without chains passes: another check requires a certificate.
func (r *revoked) check(chains [][]*x509.Certificate, now time.Time) (err error) {
	for _, chain := range chains {
		if err = r.checkChain(chain, now); err == nil {
			return nil
		}
	}
	return err
}

// checkChain is check for one chain. A zero time accepts outdated lists.
func (r *revoked) checkChain(chain []*x509.Certificate, now time.Time) error {
	for i, cert := range chain {
		if err := r.checkOne(cert, chain[min(i+1, len(chain)-1)], now); err != nil {
			return err
		}
	}
	return nil
}

// checkOne looks a certificate up in the lists of its issuer. While an authority has two keys, one
// of its two lists is signed with the other key and says nothing here; but one list must be signed
// by the issuer.
func (r *revoked) checkOne(cert, issuer *x509.Certificate, now time.Time) error {
	var named, signed bool
	for _, list := range r.lists {
		if !bytes.Equal(list.RawIssuer, cert.RawIssuer) {
			continue
		}
		named = true
		if list.CheckSignatureFrom(issuer) != nil {
			continue
		}
		signed = true
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
				return fmt.Errorf("the certificate of %s %w", cert.Subject, ErrRevoked)
			}
		}
		if now.IsZero() {
			continue
		}
		if err := r.outdated(list, now); err != nil {
			return err
		}
	}
	if named && !signed {
		return &CertificateError{
			fmt.Errorf("revocation list %s of %s is not signed by it", r.file, cert.Issuer),
			"replace it by the authority's own list"}
	}
	return nil
}
