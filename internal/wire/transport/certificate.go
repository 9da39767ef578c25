package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
)

// readPair reads a certificate and its private key, in PEM form.
func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, errors.New("no certificate: a TLS listener needs cert=FILE and key=FILE in its URL")
	case keyFile == "":
		return nil, fmt.Errorf("cannot use cert=%s: no private key; add key=FILE to the URL", certFile)
	case certFile == "":
		return nil, fmt.Errorf("cannot use key=%s: no certificate; add cert=FILE to the URL", keyFile)
	}
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read private key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("cannot use certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}
