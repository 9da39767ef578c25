// Package certtest makes certificates for tests. It is for tests alone: its keys
// are written where the test says, and nothing else protects them.
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

// Files are where a certificate stands: it has signed itself, so it is the file
// of certificates to trust too.
type Files struct{ Cert, Key string }

// Write makes a certificate for names, which may be addresses, and writes it to a
// directory of the test's under a name.
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
