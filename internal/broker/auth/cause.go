package auth

import (
	"crypto/x509"
	"errors"

	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// causes are those of links that end for a loss.
var causes = map[Loss]link.Cause{
	Removed:          link.UserRemoved,
	Deactivated:      link.UserDeactivated,
	Expired:          link.UserExpired,
	PasswordChanged:  link.PasswordChanged,
	AddressDenied:    link.AddressDenied,
	CertificateTaken: link.CertificateTaken,
}

// Cause returns the cause of a link that ends for a loss, link.Open if nothing is lost.
func (l Loss) Cause() link.Cause { return causes[l] }

// CertificateCause returns why a certificate is no longer valid.
func CertificateCause(err error) link.Cause {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, transport.ErrRevoked):
		return link.CertificateRevoked
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return link.CertificateExpired
	}
	return link.CertificateUntrusted
}
