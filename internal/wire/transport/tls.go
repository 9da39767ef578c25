package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// minTLS is the oldest version that is accepted and offered where nothing else is said.
const minTLS = tls.VersionTLS12

// suites are those of TLS 1.2 that are accepted and offered: with forward secrecy and authenticated
// encryption, without CBC and SHA1. Those of TLS 1.3 are all of that kind.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

func dialTLS(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	config, err := u.clientConfig()
	if err != nil {
		return nil, err
	}
	plain, err := dialPlain(ctx, u, stall)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		if err == io.EOF {
			return nil, errors.New("connection closed during the TLS handshake; is this the broker's TLS port?")
		}
		return nil, brokerRefusal(u, brokerCertError(u, err))
	}
	return newTLSClient(conn, u), nil
}

// CheckDial reads the files that Dial would read, looks the owner of a socket up, and returns the
// first error. CheckPlaintext finds what Dial would refuse.
func CheckDial(u URL) error {
	if u.Scheme == Unix && u.Owner != "" {
		_, err := uidOfOwner(u.Owner)
		return err
	}
	if !u.IsEncrypted() {
		return nil
	}
	_, err := u.clientConfig()
	return err
}

// clientConfig returns how to verify the certificate of the broker at u, and what to show it.
func (u URL) clientConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: minTLS, CipherSuites: suites, ServerName: u.Host, InsecureSkipVerify: u.NoVerify}
	if u.ServerName != "" {
		c.ServerName = u.ServerName
	}
	if u.Cert != "" || u.Key != "" {
		own, err := (*pemReader)(nil).readPair(u.Cert, u.Key)
		if err != nil {
			return nil, err
		}
		// Show the certificate even if the broker does not list its authority. Otherwise the
		// broker could only report that it got none.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	if u.CRL != "" {
		if u.NoVerify {
			return nil, ofOption("crl", errors.New("option crl needs verification; remove verify=false from the URL"))
		}
		lists, err := (*pemReader)(nil).readRevoked(u.CRL)
		if err == nil {
			err = lists.current(time.Now())
		}
		if err != nil {
			return nil, ofOption("crl", err)
		}
		c.VerifyConnection = func(state tls.ConnectionState) error { return lists.check(state.VerifiedChains, time.Now()) }
	}
	if u.CA != "" {
		pool, _, err := (*pemReader)(nil).readPool("ca", u.CA)
		if err != nil {
			return nil, ofOption("ca", err)
		}
		c.RootCAs = pool
	}
	return c, nil
}

// readPool reads the certificates of authorities, in PEM form.
func (r *pemReader) readPool(option, file string) (*x509.CertPool, []*x509.Certificate, error) {
	_, blocks, err := r.read(option, "certificates to trust", file)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	var all []*x509.Certificate
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot use certificates to trust: %s: %w", file, err)
		}
		pool.AddCert(cert)
		all = append(all, cert)
	}
	if all == nil {
		return nil, nil, fmt.Errorf("cannot use certificates to trust: %s holds none in PEM form", file)
	}
	return pool, all, nil
}
