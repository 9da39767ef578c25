package e2e_test

import (
	"os"
	"strings"
	"testing"

	"shvtools/internal/test/certtest"
)

// A fleet gets a configuration once; what keeps a device off the air needs a visit to it.
func TestCheckConfigFindsWhatKeepsTheDeviceOffTheAir(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own, other := certtest.Write(t, w.dir, "own"), certtest.Write(t, w.dir, "other")
	cert, key, otherKey := own.Cert, own.Key, other.Key
	empty, cut := w.newFile("empty.pem"), w.newFile("cut.pem")
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	write(t, empty, nil, 0o600)
	write(t, cut, text[:len(text)/2], 0o600)
	password := w.newFile("password")
	write(t, password, []byte("secret\n"), 0o600)
	for _, tt := range []struct{ config, want string }{
		{"{url: 'ssl://h?ca=" + cert + "&cert=" + cert + "&key=" + key + "', password-file: " + password + "}", ""},
		{"{url: 'ssl://h?ca=/no-such-file'}", "connection.url[1]: cannot read certificates to trust: open /no-such-file"},
		{"{url: ['ssl://h', 'ssl://h?ca=" + empty + "']}", "connection.url[2]: certificates to trust " + empty + " is empty"},
		{"{url: 'ssl://h?ca=" + cut + "'}", "certificates to trust " + cut + " was cut off"},
		{"{url: 'ssl://h?cert=" + cert + "&key=" + otherKey + "'}",
			"cannot use certificate " + cert + " with key " + otherKey},
		{"{url: 'ssl://h?cert=" + cert + "&key=/no-such-file'}", "cannot read private key: open /no-such-file"},
		{"{url: 'ssl://h?cert=" + cut + "&key=" + key + "'}", "certificate " + cut + " was cut off"},
		{"{url: 'ssl://h?cert=" + cert + "'}", "no private key; add key=FILE to the URL"},
		{"{url: 'ssl://h?key=" + key + "'}", "no certificate; add cert=FILE to the URL"},
		{"{url: 'ssl://h?ca=" + cert + "&crl=/no-such-file'}", "/no-such-file"},
		{"{url: 'tcp://127.0.0.1:0'}", "port 0"},
		{"{url: 'tcp://127.0.0.1:65536'}", "port 65536 is out of range"},
		{"{password-file: /no-such-file}", "connection.password-file: password file /no-such-file: no such file"},
		{"{password-file: " + empty + "}", "connection.password-file: password file " + empty + ": it is empty"},
		{"{mount: loco 101}", `connection.mount: mount point "loco 101": the character " "`},
		{"{mount: 'site/*'}", `connection.mount: "*" is a pattern`},
		{"{mount: a/../b}", `connection.mount: ".." in it is not a name`},
		{"{url: 'tcp://127.0.0.1?devmount=a//b'}", "devmount: a name in it is empty"},
	} {
		file := w.newFile("shvagent.yaml")
		w.configure(file, "connection: "+tt.config+"\nrules: []\n")
		r := call(w, "shvagent", "--config", file, "--check-config")
		line := strings.TrimSuffix(string(r.stderr), "\n")
		switch {
		case tt.want == "" && (r.code != 0 || line != "" || !r.stdoutHas("\nthe configuration is fine\n")):
			t.Errorf("%s: %d, %s%s", tt.config, r.code, r.stdout, r.stderr)
		case tt.want != "" && (r.code != 1 || !strings.HasPrefix(line, "shvagent: "+file+":1:") ||
			!strings.Contains(line, tt.want) || strings.Contains(line, "\n") || strings.Contains(line, "listener")):
			t.Errorf("%s: %d, %s", tt.config, r.code, r.stderr)
		}
	}
}
