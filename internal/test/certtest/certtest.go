// Package certtest makes certificates for tests. Only tests import it, because it writes
// unencrypted keys.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Files names the files of a certificate and its key. A certificate of Write has signed
// itself, so Cert is also the file of certificates to trust.
type Files struct{ Cert, Key string }

// Write writes a self-signed certificate for names, which may be addresses, to
// dir/name.crt and its key to dir/name.key.
func Write(t testing.TB, dir, name string, names ...string) Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := Files{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	for _, out := range []struct {
		file string
		pem  pem.Block
	}{{f.Cert, pem.Block{Type: "CERTIFICATE", Bytes: der}}, {f.Key, pem.Block{Type: "PRIVATE KEY", Bytes: secret}}} {
		if err := os.WriteFile(out.file, pem.EncodeToMemory(&out.pem), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}
