package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"shvtools/internal/broker/config"
	"shvtools/internal/wire/transport"
)

// Two listeners at one place, such as on port 0, must not get each other's certificate.
func TestListenersKeepTheirOwnEntryAtAReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	load := func(listen string) *config.Config {
		if err := os.WriteFile(file, []byte("access: {}\nlisten:\n"+listen), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Sources{File: file})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := load("- {url: 'ssl://127.0.0.1:0', cert: /a, key: /a}\n- {url: 'ssl://127.0.0.1:0', cert: /b, key: /b}\n" +
		"- {url: 'ssl://127.0.0.1:7', cert: /c, key: /c}\n")
	var specs []ListenSpec
	for _, l := range c.Listen {
		u, err := l.Parsed()
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, ListenSpec{URL: u, TLS: transport.ListenOptions{CertFile: l.Cert, KeyFile: l.Key}, Entry: l})
	}
	specs = append(specs, specs[2]) // a second socket of the last entry
	next := renewed(specs, load("- {url: 'ssl://127.0.0.1:7', cert: /c2, key: /c2}\n"+
		"- {url: 'ssl://127.0.0.1:0', cert: /a2, key: /a2, client-ca: /ca}\n"+
		"- {url: 'ssl://127.0.0.1:0', cert: /b, key: /b}\n"))
	for i, want := range []string{"/a2", "/b", "/c2", "/c2"} {
		if got := next[i].TLS.CertFile; got != want {
			t.Errorf("listener %d: %s, want %s", i+1, got, want)
		}
	}
	if next[0].URL.ClientCA != "/ca" || next[1].URL.ClientCA != "" || specs[0].TLS.CertFile != "/a" {
		t.Errorf("%+v", next)
	}
	gone := renewed(specs, load("- {url: 'tcp://127.0.0.1:0'}\n"))
	if gone[2].TLS.CertFile != "/c" {
		t.Error("a listener without an entry loses its files")
	}
}
