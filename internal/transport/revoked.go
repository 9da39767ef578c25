package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// revoked are the revocation lists of one file.
type revoked []*x509.RevocationList

// readRevoked reads lists in PEM form. One that has expired is an error, for
// nobody can tell what was revoked since.
func readRevoked(file string) (lists revoked, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("revocation list %s: %w", file, err)
		}
		if !list.NextUpdate.IsZero() && time.Now().After(list.NextUpdate) {
			return nil, fmt.Errorf("revocation list %s: expired on %s", file, list.NextUpdate.Format(time.RFC3339))
		}
		lists = append(lists, list)
	}
	if lists == nil {
		return nil, fmt.Errorf("revocation list: %s holds none in PEM form", file)
	}
	return lists, nil
}

// check refuses a peer all of whose chains hold a revoked certificate. A peer
// that showed none passes: whether it must show one is asked elsewhere.
func (r revoked) check(state tls.ConnectionState) (err error) {
	for _, chain := range state.VerifiedChains {
		if err = r.checkChain(chain); err == nil {
			return nil
		}
	}
	return err
}

func (r revoked) checkChain(chain []*x509.Certificate) error {
	for i, cert := range chain {
		issuer := chain[min(i+1, len(chain)-1)]
		for _, list := range r {
			if !bytes.Equal(list.RawIssuer, cert.RawIssuer) {
				continue
			}
			if err := list.CheckSignatureFrom(issuer); err != nil {
				return errors.New("the revocation list of " + cert.Issuer.String() + " is not signed by it")
			}
			for _, entry := range list.RevokedCertificateEntries {
				if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
					return fmt.Errorf("the certificate of %s was revoked", cert.Subject)
				}
			}
		}
	}
	return nil
}
