package config

import (
	"fmt"
	"slices"
	"strings"

	"shvtools/internal/wire/transport"
)

// atReload are the settings that a reload puts in force.
var atReload = []string{"access", "accounts", "policies", "allow-plaintext", "min-tls", "sha1-logins"}

// listenAtReload are those of an entry of listen, as long as it listens at the same place.
var listenAtReload = []string{".cert", ".key", ".client-ca", ".crl", ".require-client-cert"}

// Startup returns the texts of all settings, by key, that a start puts in force and a reload does
// not.
func (c *Config) Startup() map[string]string {
	all := map[string]string{"access-file": c.saidAccessFile}
	for _, s := range table.Settings {
		if s.Lines == nil || slices.Contains(atReload, s.Key) || s.Key == "access-file" {
			continue
		}
		for _, line := range s.Lines(c) {
			ofTrust := slices.ContainsFunc(listenAtReload, func(end string) bool { return strings.HasSuffix(line.Key, end) })
			if s.Key != "listen" || !ofTrust {
				all[line.Key] += line.Text + "\n" // two connections may have one name
			}
		}
	}
	for i, l := range c.listening { // the text of the URL has options that a reload takes, too
		if u, err := l.Parsed(); err == nil {
			at := transport.URL{Scheme: u.Scheme, Host: u.Host, Port: u.Port, Path: u.Path}
			all[fmt.Sprintf("listen[%d].url", i+1)] = at.String()
		}
	}
	for _, up := range c.Connections { // lines hide secrets; nobody is shown these texts
		secrets := fmt.Sprintf("%q\n", []string{up.URL.Password, up.URL.ShaPass, up.URL.Token})
		all[fmt.Sprintf("connections.%q.url", up.Name)] += secrets
	}
	return all
}

// Waiting returns the keys whose values differ from those at the start, sorted.
func (c *Config) Waiting(started map[string]string) (keys []string) {
	now := c.Startup()
	for _, key := range sortedKeys(now) {
		if was, ok := started[key]; !ok || was != now[key] {
			keys = append(keys, key)
		}
	}
	for _, key := range sortedKeys(started) {
		if _, ok := now[key]; !ok {
			keys = append(keys, key)
		}
	}
	return keys
}
