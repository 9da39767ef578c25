package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// minTLS is the oldest version that is spoken.
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
		return nil, err
	}
	return conn, nil
}

// clientConfig is how the certificate of the broker at u is judged.
func (u URL) clientConfig() (*tls.Config, error) {
	if u.Cert != "" || u.Key != "" {
		return nil, errors.New("client certificates, the options cert and key, are not supported")
	}
	c := &tls.Config{MinVersion: minTLS, ServerName: u.Host, InsecureSkipVerify: u.NoVerify}
	if u.ServerName != "" {
		c.ServerName = u.ServerName
	}
	if u.CA != "" {
		text, err := os.ReadFile(u.CA)
		if err != nil {
			return nil, fmt.Errorf("certificates to trust: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("certificates to trust: %s holds none in PEM form", u.CA)
		}
	}
	return c, nil
}
