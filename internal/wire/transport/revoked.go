package transport

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
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

// has reports whether there is a list of an authority.
func (r *revoked) has(ca *x509.Certificate) bool {
	return slices.ContainsFunc(r.lists, func(l *x509.RevocationList) bool {
		return bytes.Equal(l.RawIssuer, ca.RawSubject) && l.CheckSignatureFrom(ca) == nil
	})
}

// follows returns an error if certificates that are revoked by old, which is in force, would not be so
// by r: a list is older than the one of the same authority in old, or there is none. The list of an
// authority that is not trusted, or no more, may go; that of one between it and a client must stay.
func (r *revoked) follows(old *revoked, trusted, next []*x509.Certificate) error {
	for _, was := range old.lists {
		same := func(l *x509.RevocationList) bool {
			return bytes.Equal(l.RawIssuer, was.RawIssuer) && bytes.Equal(l.AuthorityKeyId, was.AuthorityKeyId)
		}
		named := func(ca *x509.Certificate) bool { return bytes.Equal(ca.RawSubject, was.RawIssuer) }
		signer := func(ca *x509.Certificate) bool { return named(ca) && was.CheckSignatureFrom(ca) == nil }
		switch {
		case slices.ContainsFunc(r.lists, func(l *x509.RevocationList) bool { return same(l) && !isOlder(l, was) }):
		case slices.ContainsFunc(r.lists, same):
			return fmt.Errorf("revocation list %s of %s is older than the one in force; put the authority's latest list there",
				r.file, was.Issuer)
		case slices.ContainsFunc(trusted, named) && !slices.ContainsFunc(next, signer):
		default:
			return fmt.Errorf("revocation list %s: the list of %s is missing, and was there before; add it, or restart if "+
				"that authority has ended", r.file, was.Issuer)
		}
	}
	return nil
}

// isOlder reports whether a list comes before another one of the same authority (RFC 5280 5.2.3).
func isOlder(l, than *x509.RevocationList) bool {
	if l.Number != nil && than.Number != nil {
		return l.Number.Cmp(than.Number) < 0
	}
	return l.ThisUpdate.Before(than.ThisUpdate)
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
