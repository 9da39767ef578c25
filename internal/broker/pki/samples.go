package pki

import (
	"fmt"
	"net/netip"

	"shvtools/internal/sys/conf"
)

// brokerConfig is the configuration of a new broker.
func brokerConfig(name, adminHash string) []byte {
	return marked(`# The broker ` + name + `. shvbroker --init has made this file, and it is yours to change. All keys:
# docs/reference/broker.md; more roles: docs/policy.md. Files are looked up beside this one.
name: "` + name + `"
listen:
  - url: "ssl://[::]:3756"       # all addresses, IPv4 and IPv6
    cert: broker.pem
    key: broker.key
    client-ca: ca.pem            # clients may show a certificate of this authority …
    crl: crl.pem                 # … that is not in this list
accounts: accounts.yaml          # devices and people with a certificate; shvbroker --issue writes it
# access-file: /var/lib/shvbroker/access.yaml    # with it, rights can be changed by calls
access:
  users:
    ` + firstUser + `: {password: '` + adminHash + `', roles: [admin]}
  roles:
    admin:                       # everything, on all devices and on the broker
      access:
        - {shvRI: "**:*", grant: su}
    ` + DefaultRole + `:
      access:                                           # the first rule that matches decides
        - {shvRI: ".broker/currentClient:*", grant: wr}
        - {shvRI: ".broker/client/**:*", grant: none}   # devices by their place alone
        - {shvRI: "site/**:*", grant: cmd}              # shells and commands
        - {shvRI: "**:*", grant: bws}                   # sees the tree
    ` + deviceRole + `:                     # each may mount at its own place, see accounts.yaml
      access:
        - {shvRI: ".app:ping", grant: bws}
`)
}

// deviceConfig is the configuration of an agent.
func deviceConfig(name, url, mount string) []byte {
	return marked(`# The device ` + name + `, for /etc/shv on it. shvbroker --issue has made this file, and it is
# yours to change. All keys: docs/reference/agent.md. Files are looked up beside this one.
connection:
  url: "` + url + `"
  mount: "` + mount + `"
# Without rules, everybody whom the broker lets call may do everything, as the user that
# shvagent runs as; docs/policy.md has more.
# rules:
#   - {name: operators, users: [eva], time: 8h, idle: 1h}
`)
}

// userConfig is the configuration of shvrsh.
func userConfig(name, url string) []byte {
	return marked(`# For ` + name + `, in ~/.config/shvrsh. shvbroker --issue has made this file, and it is yours
# to change. All keys: docs/reference/shvrsh.md. Files are looked up beside this one.
defaults:
  url: "` + url + `"
# hosts:
#   pump7: {path: site/pump7}
`)
}

func marked(text string) []byte {
	return []byte(conf.BeginMark + "\n" + text + conf.EndMark + "\n")
}

// clientURL is the broker's URL for a device or user, with the files that it is handed.
func clientURL(r Request, host string) string {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + host + "]"
	}
	url := r.Scheme + "://" + host
	if r.Port != "" {
		url += ":" + r.Port
	}
	return fmt.Sprintf("%s?ca=%s&cert=%s.pem&key=%s.key", url, caFile, r.Kind, r.Kind)
}
