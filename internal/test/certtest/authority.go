package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs and revokes certificates. CA is the file of its own certificate.
type Authority struct {
	CA   string
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64 // number of a revocation list
}

// NewAuthority returns an authority with a new key. Its files are in dir.
func NewAuthority(t testing.TB, dir, name string) *Authority {
	t.Helper()
	a := &Authority{CA: filepath.Join(dir, name+".crt"), dir: dir}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.CA, "CERTIFICATE", der)
	return a
}

// Issue writes a certificate with a serial number, valid until ends, for names, which may
// be addresses. Without names it is for 127.0.0.1.
func (a *Authority) Issue(t testing.TB, name string, serial int64, ends time.Time, names ...string) Files {
	t.Helper()
	if names == nil {
		names = []string{"127.0.0.1"}
	}
	own := Write(t, a.dir, name, names...)
	text, err := os.ReadFile(own.Cert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: cert.Subject, IPAddresses: cert.IPAddresses, DNSNames: cert.DNSNames,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: ends, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, cert.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, own.Cert, "CERTIFICATE", der)
	return own
}

// Revoke writes to file a revocation list of serial numbers, valid until a time. It is newer than all
// before.
func (a *Authority) Revoke(t testing.TB, file string, until time.Time, serials ...int64) {
	t.Helper()
	a.last++
	list := &x509.RevocationList{Number: big.NewInt(a.last), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: until}
	for _, n := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: time.Now().Add(-time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, "X509 CRL", der)
}

func write(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
