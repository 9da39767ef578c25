package transport

import "testing"

func TestFilesOfAURLAreLookedUpBesideItsConfiguration(t *testing.T) {
	u, err := ParseURL("ssl://h?ca=ca.pem&cert=sub/a.pem&key=/k.pem")
	if err != nil {
		t.Fatal(err)
	}
	u = u.Beside("/etc/shv")
	if u.CA != "/etc/shv/ca.pem" || u.Cert != "/etc/shv/sub/a.pem" || u.Key != "/k.pem" || u.CRL != "" {
		t.Errorf("ca %s, cert %s, key %s, crl %s", u.CA, u.Cert, u.Key, u.CRL)
	}
}
