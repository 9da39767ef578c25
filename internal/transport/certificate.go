package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
)

// certificate is the pair of files that a listener shows and proves itself with,
// as they were when they were last read.
type certificate struct {
	certFile, keyFile string
	pair              atomic.Pointer[tls.Certificate]
}

// read reads the files anew. On an error, what was read before stays in force.
func (c *certificate) read() error {
	if c.certFile == "" || c.keyFile == "" {
		return errors.New("scheme ssl: a certificate goes with its key, and a listener needs both")
	}
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.pair.Store(&pair)
	return nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil }
