package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/broker/config"
	"shvtools/internal/wire/transport"
)

func TestFaultsThatAStartFindsHavePlaceAndKey(t *testing.T) {
	file := write(t, "f", `listen:
- url: ssl://127.0.0.1?crl=/l
  cert: c
  key: k
  crl: /shadowed
- {url: 'tcp://127.0.0.1', socket: shv}
connections:
- {name: up, enabled: true, client: {url: 'ssl://h?ca=/ca', ca: /shadowed, cert: c, key: k, mount: m, password-file: p}}
access: {}
`)
	c, err := config.Load(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	first, second, up := c.Listen[0], c.Listen[1], c.Connections[0]
	for _, tt := range []struct{ got, want string }{
		{first.Where("cert"), "f:3:9: listen[1].cert"},
		{first.Where("key"), "f:4:8: listen[1].key"},
		{first.Where("crl"), "f:2:8: listen[1].url"},
		{first.Where("url"), "f:2:8: listen[1].url"},
		{first.Where(""), "f:2:3: listen[1]"},
		{second.Where("socket"), "f:6:36: listen[2].socket"},
		{up.Where("cert"), `f:8:82: connections."up".client.cert`},
		{up.Where("ca"), `f:8:43: connections."up".client.url`},
		{up.Where("password-file"), `f:8:118: connections."up".client.password-file`},
		{up.Where(""), `f:8:37: connections."up".client`},
		{first.Fault(errors.Join(&transport.OptionError{Option: "key", Err: os.ErrNotExist}, os.ErrInvalid)).Error(),
			"f:4:8: listen[1].key: file does not exist\nf:2:8: listen[1].url: invalid argument"},
		{up.Fault(&transport.OptionError{Option: "cert", Err: os.ErrNotExist}).Error(),
			`f:8:82: connections."up".client.cert: file does not exist`},
	} {
		if got := strings.ReplaceAll(tt.got, filepath.Dir(file)+"/", ""); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if !first.InFile() {
		t.Error("a listener of the file is said not to be")
	}
	flags := map[string][]string{"listen": {"ssl://127.0.0.1"}, "tls-cert": {"c"}, "tls-key": {"k"}}
	c, err = config.Load(config.Sources{File: file, Flag: func(name string) ([]string, bool) {
		values, ok := flags[name]
		return values, ok
	}})
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Listen[0]; l.InFile() || l.Where("cert") != "--tls-cert" || l.Where("crl") != "--listen" ||
		l.Where("") != "--listen" {
		t.Errorf("of flags: %s, %s, %s", l.Where("cert"), l.Where("crl"), l.Where(""))
	}
	if l := config.DefaultListener(); l.InFile() || l.Where("url") != "default" {
		t.Errorf("of the default: %s", l.Where("url"))
	}
}
