package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// minTLS is the oldest version that is accepted and offered.
const minTLS = tls.VersionTLS12

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

// CheckDial reads the files that Dial would read and returns the first error.
func CheckDial(u URL) error {
	if !u.IsEncrypted() {
		return nil
	}
	_, err := u.clientConfig()
	return err
}

// clientConfig returns how to verify the certificate of the broker at u, and what to show it.
func (u URL) clientConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: minTLS, ServerName: u.Host, InsecureSkipVerify: u.NoVerify}
	if u.ServerName != "" {
		c.ServerName = u.ServerName
	}
	if u.Cert != "" || u.Key != "" {
		own, err := readPair(u.Cert, u.Key)
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
		lists, err := readRevoked(u.CRL)
		if err == nil {
			err = lists.current(time.Now())
		}
		if err != nil {
			return nil, ofOption("crl", err)
		}
		c.VerifyConnection = func(state tls.ConnectionState) error { return lists.check(state.VerifiedChains, time.Now()) }
	}
	if u.CA != "" {
		pool, err := readPool(u.CA)
		if err != nil {
			return nil, ofOption("ca", err)
		}
		c.RootCAs = pool
	}
	return c, nil
}

func readPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read certificates to trust: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("cannot use certificates to trust: %s holds none in PEM form", file)
	}
	return pool, nil
}
