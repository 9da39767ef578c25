package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// OptionError is an error of what an option of a URL says, such as a file that cannot be read.
type OptionError struct {
	Option string // its name, such as client-ca
	Err    error
}

// Error returns the text of Err, which names the file.
func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// ofOption returns err as an OptionError, and nil as nil.
func ofOption(option string, err error) error {
	if err == nil {
		return nil
	}
	return &OptionError{option, err}
}

// readPair reads a certificate and its private key, in PEM form.
func (r *pemReader) readPair(certFile, keyFile string) (*tls.Certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, errors.New("no certificate: a TLS listener needs cert=FILE and key=FILE in its URL")
	case keyFile == "":
		return nil, ofOption("cert", fmt.Errorf("cannot use cert=%s: no private key; add key=FILE to the URL", certFile))
	case certFile == "":
		return nil, ofOption("key", fmt.Errorf("cannot use key=%s: no certificate; add cert=FILE to the URL", keyFile))
	}
	cert, _, err := r.read("cert", "certificate", certFile)
	if err != nil {
		return nil, ofOption("cert", err)
	}
	key, _, err := r.read("key", "private key", keyFile)
	if err != nil {
		return nil, ofOption("key", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, ofOption("cert", fmt.Errorf("cannot use certificate %s with key %s: %w", certFile, keyFile, err))
	}
	return &pair, nil
}
