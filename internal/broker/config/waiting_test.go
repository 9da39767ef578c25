package config_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/broker/config"
)

// keysAt returns the keys that the configuration may have at a place, of which text has an unknown one.
func keysAt(t *testing.T, text string) []string {
	t.Helper()
	_, err := config.Load(config.Sources{File: write(t, "f", text)})
	list := regexp.MustCompile(`unknown key \(want (.*)\)`).FindStringSubmatch(fmt.Sprint(err))
	if list == nil {
		t.Fatalf("no keys: %v", err)
	}
	return strings.Split(strings.ReplaceAll(list[1], " or ", ", "), ", ")
}

// change is a key, and what it says before and after. Waits is false if a reload puts it in force.
type change struct {
	before, after string
	waits         bool
}

// list is a key with a list, whose entries have keys.
type list struct {
	key, entry string // %s in entry: the key to try
	keys       map[string]change
}

// Operators change a key, reload, and see no word of it: the broker goes on with the old value. So each
// key waits for a restart, and the log says it, or is in force; a key without an entry here fails.
func TestEachKeyIsInForceAfterAReloadOrIsSaidToWait(t *testing.T) {
	const access = "access: {users: {u: {password: !Plain x}}}\n"
	accounts := func(user string) string {
		return write(t, "f", "---\nusers: {"+user+": {certificates: ['cn:x']}}\n...\n")
	}
	top := map[string]change{
		"name":             {"a", "b", true},
		"allow-plaintext":  {"false", "true", false},
		"min-tls":          {"1.2", "1.3", false},
		"sha1-logins":      {"true", "false", false},
		"takeover":         {"newest", "refuse-alive", true},
		"tunnel.advertise": {`["tcp://h:1"]`, `["tcp://h:2"]`, true},
		"metrics.listen":   {"127.0.0.1:1", "127.0.0.1:2", true},
		"audit.file":       {"/a", "/b", true},
		"audit.syslog":     {"false", "true", true},
		"audit.fsync":      {"false", "true", true},
		"audit.unwritable": {"warn, syslog: true", "refuse, syslog: true", true},
		"audit.command":    {"whole", "none", true},
		"access-file":      {"/nowhere/a", "/nowhere/b", true},
		"access":           {"{users: {u: {password: !Plain x}}}", "{users: {u: {password: !Plain y}}}", false},
		"accounts":         {accounts("a"), accounts("b"), false},
	}
	nested := []list{
		{"listen", "listen: [{%s}]\n", map[string]change{
			"url":                 {`"tcp://127.0.0.1:1"`, `"tcp://127.0.0.1:2"`, true},
			"cert":                {"a", "b", false},
			"key":                 {"a", "b", false},
			"client-ca":           {"a", "b", false},
			"crl":                 {"a", "b", false},
			"require-client-cert": {"false", "true", false},
			"socket":              {"a", "b", true},
			// Options of the URL.
			"url (client-ca)": {`"ssl://[::]:1?client-ca=/a"`, `"ssl://[::]:1?client-ca=/b"`, false},
			"url (crl)":       {`"ssl://[::]:1?client-ca=/a&crl=/a"`, `"ssl://[::]:1?client-ca=/a&crl=/b"`, false},
			"url (origin)":    {`"ws://127.0.0.1:1?origin=https://a"`, `"ws://127.0.0.1:1?origin=https://b"`, true},
			"url (mode)":      {`"unix:/s?mode=600"`, `"unix:/s?mode=660"`, true},
			"url (path)":      {`"unix:/s"`, `"unix:/t"`, true},
			"url (socket)":    {`"ssl://[::]:1?socket=a"`, `"ssl://[::]:1?socket=b"`, true},
		}},
		{"connections", "connections: [{enabled: true, client: {url: h, mount: m}, %s}]\n", map[string]change{
			"name":                {"a", "b", true},
			"enabled":             {"true", "false", true},
			"connection_settings": {"{exported_shv_root: a}", "{exported_shv_root: b}", true},
			"client":              {"{url: h, mount: a}", "{url: h, mount: b}", true},
		}},
		{"client", "connections: [{enabled: true, client: {url: 'ssl://h', mount: m, %s}}]\n", map[string]change{
			"url":                {"ssl://h:1", "ssl://h:2", true},
			"user":               {"a", "b", true},
			"password-file":      {"a", "b", true},
			"ca":                 {"a", "b", true},
			"cert":               {"a, key: k", "b, key: k", true},
			"key":                {"a, cert: c", "b, cert: c", true},
			"crl":                {"a", "b", true},
			"allow-plaintext":    {"false, url: 'tcp://127.0.0.1'", "true, url: 'tcp://127.0.0.1'", true},
			"mount":              {"a", "b", true},
			"device_id":          {"a", "b", true},
			"heartbeat_interval": {"1m", "2m", true},
			"reconnect_interval": {"1m", "2m", true},
			// Options of the URL.
			"url (password)": {"'ssl://h?password=a'", "'ssl://h?password=b'", true},
			"url (shapass)": {"'ssl://h?shapass=" + strings.Repeat("a", 40) + "'",
				"'ssl://h?shapass=" + strings.Repeat("b", 40) + "'", true},
			"url (token)":  {"'ssl://h?token=a'", "'ssl://h?token=b'", true},
			"url (user)":   {"'ssl://a@h'", "'ssl://b@h'", true},
			"url (verify)": {"ssl://h", "'ssl://h?verify=false'", true},
		}},
	}
	try := func(t *testing.T, key, before, after string, waits bool) {
		t.Helper()
		first := load(t, config.Sources{File: write(t, "f", before)})
		second := load(t, config.Sources{File: write(t, "f", after)})
		said := second.Waiting(first.Startup())
		if before == after {
			t.Errorf("%q is no change", before)
		}
		about := slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, key) })
		if about != waits || !waits && len(said) > 0 {
			t.Errorf("%q and then %q: said to wait: %q, want %v", before, after, said, waits)
		}
		if again := first.Waiting(first.Startup()); len(again) > 0 {
			t.Errorf("%q: said to wait without a change: %q", before, again)
		}
	}
	for _, d := range config.Declared() {
		group, name, inGroup := strings.Cut(d.Key, ".")
		of := func(value string) string {
			text := fmt.Sprintf("%s: %s\n", d.Key, value)
			if inGroup {
				text = fmt.Sprintf("%s: {%s: %s}\n", group, name, value)
			}
			if d.Key != "access" {
				text += access
			}
			return text
		}
		c, known := top[d.Key]
		switch {
		case known:
			try(t, d.Key, of(c.before), of(c.after), c.waits)
		case d.Lowest != "":
			tried := false
			for _, value := range []string{d.Lowest, d.Highest} {
				_, err := config.Load(config.Sources{File: write(t, "f", of(value))})
				if err == nil && value != d.Default { // one alone may not go with the others
					tried = true
					try(t, d.Key, access, of(value), true)
				}
			}
			if !tried {
				t.Errorf("%s: no value to try (%s to %s)", d.Key, d.Lowest, d.Highest)
			}
		case !slices.ContainsFunc(nested, func(n list) bool { return n.key == d.Key }):
			t.Errorf("%s: nobody has said whether a reload puts it in force", d.Key)
		}
	}
	for _, n := range nested {
		for _, key := range keysAt(t, access+fmt.Sprintf(n.entry, "nonsense: 1")) {
			if _, ok := n.keys[key]; !ok {
				t.Errorf("%s.%s: nobody has said whether a reload puts it in force", n.key, key)
			}
		}
		for key, c := range n.keys {
			name, _, _ := strings.Cut(key, " ")
			of := func(value string) string {
				entry := n.entry
				others := map[string]string{"cert": ", url: 'ssl://[::]:1', key: k", "key": ", url: 'ssl://[::]:1', cert: c",
					"url": "", "socket": ", url: 'tcp://127.0.0.1:1'"}
				switch {
				case n.key == "listen":
					other, ok := others[name]
					if !ok {
						other = ", url: 'ssl://[::]:1', client-ca: c"
						if name == "client-ca" {
							other = ", url: 'ssl://[::]:1'"
						}
					}
					value += other
				case name == "enabled":
					entry = strings.Replace(entry, "enabled: true, ", "", 1)
				case name == "client":
					entry = strings.Replace(entry, "client: {url: h, mount: m}, ", "", 1)
				case name == "url" || strings.Contains(value, "url:"):
					entry = strings.Replace(entry, "url: 'ssl://h', ", "", 1)
				case name == "mount":
					entry = strings.Replace(entry, "mount: m, ", "", 1)
				}
				return access + fmt.Sprintf(entry, name+": "+value)
			}
			of2 := strings.Replace(n.key, "client", "connections", 1)
			try(t, of2, of(c.before), of(c.after), c.waits)
		}
	}
}
