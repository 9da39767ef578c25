package transport

import (
	"net/netip"
	"testing"
)

func TestAddressesOfPrivateNetworksAreNotPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "223.255.255.255": true, "100.63.0.1": true, "2001:4860::1": true, "::ffff:8.8.8.8": true,
		"0.1.2.3": false, "10.0.3.93": false, "100.64.0.1": false, "127.0.0.1": false, "169.254.1.1": false,
		"172.16.0.1": false, "192.168.1.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::1": false, "::": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "::ffff:10.0.0.1": false,
	} {
		if IsPublic(netip.MustParseAddr(address)) != want {
			t.Errorf("%s is public: %v", address, !want)
		}
	}
	if IsPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// A secret that came by an encrypted connection must not go over a plain one.
func TestConnectionsAreByTheSchemeThatWasOffered(t *testing.T) {
	schemes := []string{TCP, TCPS, SSL, WS, WSS, Unix, ""}
	for _, offered := range schemes {
		for _, came := range schemes {
			want := true
			switch offered {
			case SSL, WSS:
				want = came == SSL || came == WSS
			case Unix:
				want = came == Unix
			}
			if (Peer{Scheme: came}).CameBy(offered) != want {
				t.Errorf("%q was offered, %q came: %v", offered, came, !want)
			}
		}
	}
}
