package transport_test

import (
	"fmt"
	"strings"
	"testing"

	"shvtools/internal/wire/transport"
)

func TestShownOptionsDecideOnTrustAndHideSecrets(t *testing.T) {
	for _, tt := range []struct{ url, client, listener string }{
		{"tcp://u:hush@h", "allow-plaintext=false user=u password=(hidden)", ""},
		{"ssl://h", "ca=(the system's roots) verify=true cert=(none) key=(none) crl=(none)",
			"client-ca=(none) crl=(none) require-client-cert=false"},
		{"ssl://h?ca=a&verify=false&cert=c&key=k&crl=r&token=hush&devmount=m&devid=d",
			"ca=a verify=false cert=c key=k crl=r token=(hidden) devmount=m devid=d",
			"client-ca=(none) crl=r require-client-cert=false"},
		{"wss://h?client-ca=a&require-client-cert=true&origin=https://o&socket=s&shapass=hush",
			"ca=(the system's roots) verify=true cert=(none) key=(none) crl=(none) shapass=(hidden)",
			"client-ca=a crl=(none) require-client-cert=true origin=https://o socket=s"},
		{"unix:/s", "owner=(root or the program's own user)", "mode=600"},
		{"unix:/s?mode=660&owner=shvbroker", "owner=shvbroker", "mode=660"},
	} {
		u, err := transport.ParseURL(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		show := func(all []transport.Shown) string {
			var texts []string
			for _, o := range all {
				texts = append(texts, fmt.Sprintf("%s=%s", o.Name, o.Value))
			}
			return strings.Join(texts, " ")
		}
		if got := show(u.ShownForClient()); got != tt.client {
			t.Errorf("%s for a client: %s", tt.url, got)
		}
		if got := show(u.ShownForListener()); got != tt.listener {
			t.Errorf("%s for a listener: %s", tt.url, got)
		}
	}
}
