package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// fields reads a map whose keys are known.
func (r *reader) fields(n *node, what string, known map[string]func(k key)) {
	if !r.is(n, table, what, "{}") {
		return
	}
	for _, k := range n.keys {
		read, ok := known[k.name]
		switch {
		case !ok:
			r.fail(k.at, "unknown key %q in %s; known are %s", k.name, what, names(known))
		case k.value.kind != null: // else it means none, as in the Rust broker's files
			read(k)
		}
	}
}

func names(known map[string]func(k key)) string {
	all := make([]string, 0, len(known))
	for name := range known {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// user reads an entry of users. One without a password keeps that of before.
func (r *reader) user(n *node, what string, before auth.UserEntry) auth.UserEntry {
	var u auth.UserEntry
	format := n.child("passwordFormat") // of old C++ brokers
	r.fields(n, what, map[string]func(key){
		"password":           func(k key) { u.Password = r.password(k.value, format, what) },
		"passwordFormat":     func(key) {},
		"roles":              func(k key) { u.Roles = r.texts(k.value, "roles of "+what) },
		"grants":             func(k key) { u.Roles = r.texts(k.value, "grants of "+what) },
		"tokens":             func(k key) { u.Tokens = r.tokens(k.value, what) },
		"certificates":       func(k key) { u.Certificates = r.certificates(k.value, "certificates of "+what) },
		"deactivated":        func(k key) { u.Deactivated = r.truth(k.value, "deactivated of "+what) },
		"deactivated_reason": func(k key) { u.DeactivatedReason = k.value.text },
		"expires":            func(k key) { u.Expires = r.date(k.value, "expires of "+what) },
		"allowed-ips":        func(k key) { u.Networks = r.networks(k.value, "allowed-ips of "+what) },
		"mount-points":       func(k key) { u.Mounts = r.patterns(k.value, "mount-points of "+what) },
		"mount-by-device-id": func(k key) { u.ByDeviceID = r.truth(k.value, "mount-by-device-id of "+what) },
	})
	if n.child("password") == nil {
		u.Password = before.Password
	}
	if n.child("tokens") == nil {
		u.Tokens = before.Tokens
	}
	if n.kind == table && u.Password == (auth.Password{}) && u.Tokens == nil && u.Certificates == nil && n.child("password") == nil {
		r.fail(n.at, "%s has no password; %s was expected", what, passwordForms)
	}
	return u
}

// role reads an entry of roles.
func (r *reader) role(n *node, what string) auth.RoleEntry {
	var role auth.RoleEntry
	r.fields(n, what, map[string]func(key){
		"roles":              func(k key) { role.Roles = r.texts(k.value, "roles of "+what) },
		"grants":             func(k key) { role.Roles = r.texts(k.value, "grants of "+what) },
		"access":             func(k key) { role.Rules = r.rules(k.value, what) },
		"mount-points":       func(k key) { role.Mounts = r.patterns(k.value, "mount-points of "+what) },
		"mount-by-device-id": func(k key) { role.ByDeviceID = r.truth(k.value, "mount-by-device-id of "+what) },
		"allowed-ips": func(k key) {
			role.Networks, role.HasNetworks = r.networks(k.value, "allowed-ips of "+what), true
		},
		"profile": func(k key) { r.ignored(k, what) },
		"weight":  func(k key) { r.ignored(k, what) },
	})
	return role
}

// ignored is for keys of other brokers: a file may have them, a call may not, for
// they would be lost.
func (r *reader) ignored(k key, what string) {
	if k.at == "" {
		r.fail("", "%s of %s is not kept by this broker", k.name, what)
		return
	}
	r.warn(k.at, "%s of %s is not used by this broker", k.name, what)
}

// device reads an entry of mounts.
func (r *reader) device(n *node, what string) (d auth.DeviceEntry) {
	at := n.at
	if n.kind == scalar { // a short form of the C++ broker
		d.MountPoint = n.text
	} else {
		r.fields(n, what, map[string]func(key){
			"mountPoint":  func(k key) { at, d.MountPoint = k.value.at, r.text(k.value, "mountPoint of "+what) },
			"description": func(k key) { d.Description = r.text(k.value, "description of "+what) },
		})
	}
	d.MountPoint = string(shvpath.Clean([]byte(d.MountPoint)))
	if d.MountPoint == "" {
		r.fail(at, "%s has no mountPoint, such as plant/pump7", what)
	}
	return d
}

const passwordForms = "!Plain TEXT, !Sha1 HEX, !Argon2id HASH as shvbroker --hash-password makes it"

// password reads the forms of all brokers. Its errors do not repeat it.
func (r *reader) password(n, format *node, what string) auth.Password {
	form, text := "", ""
	switch {
	case n.kind == scalar && format != nil:
		form, text = format.text, n.text
	case n.kind == scalar && strings.HasPrefix(n.text, "$argon2id$"):
		form, text = "argon2id", n.text
	case n.kind == table && n.child("format") != nil && n.child("password") != nil && len(n.keys) == 2:
		form, text = n.child("format").text, n.child("password").text
	case n.kind == table && len(n.keys) == 1 && n.keys[0].value.kind == scalar:
		form, text = n.keys[0].name, n.keys[0].value.text
	}
	var p auth.Password
	var err error
	switch strings.ToLower(form) {
	case "plain":
		p = auth.PlainPassword(text)
		if text == "" {
			r.warn(n.at, "the password of %s is empty, and matches nothing", what)
		}
	case "sha1":
		p, err = auth.SHA1Password(text)
	case "argon2id":
		p, err = auth.Argon2Password(text)
	default:
		err = errors.New(passwordForms + " was expected")
	}
	if err != nil {
		r.fail(n.at, "the password of %s: %w", what, err)
	}
	return p
}

// minToken: a token is not guessed, and not thought up.
const minToken = 16

func (r *reader) tokens(n *node, what string) []string {
	all := r.texts(n, "tokens of "+what)
	for _, text := range all {
		if len(text) < minToken {
			r.fail(n.at, "a token of %s is shorter than %d characters", what, minToken)
		}
	}
	return all
}

// certificates reads which certificates are the user's.
func (r *reader) certificates(n *node, what string) (names []auth.CertName) {
	r.eachText(n, what, `["cn:pump-7"]`, func(_ *node, text string) error {
		name, err := auth.ParseCertName(text)
		names = append(names, name)
		return err
	})
	return names
}

const ruleExample = `{shvRI: "test/**:*", grant: rd}`

// rules reads a list of rules: {shvRI, grant}, or {pathPattern, method, role} as
// SHV 2 has them.
func (r *reader) rules(n *node, what string) []auth.Rule {
	if !r.is(n, list, "access of "+what, "["+ruleExample+"]") {
		return nil
	}
	rules := make([]auth.Rule, 0, len(n.list))
	for i, item := range n.list {
		rules = append(rules, r.rule(item, fmt.Sprintf("rule %d of %s", i+1, what)))
	}
	return rules
}

func (r *reader) rule(n *node, what string) (rule auth.Rule) {
	if !r.is(n, table, what, ruleExample) {
		return rule
	}
	var ri, path, method, grant *node
	r.fields(n, what, map[string]func(key){
		"shvRI":       func(k key) { ri = k.value },
		"grant":       func(k key) { grant = k.value },
		"accessLevel": func(k key) { grant = k.value },
		"pathPattern": func(k key) { path = k.value },
		"method":      func(k key) { method = k.value },
		"role":        func(k key) { grant = k.value },
	})
	var text, at string
	switch {
	case ri != nil && path == nil && method == nil:
		text, at = r.text(ri, "shvRI of "+what), ri.at
	case path != nil && ri == nil:
		text, at = r.text(path, "pathPattern of "+what), path.at
		if method != nil && method.text != "" {
			text += ":" + method.text
		}
	default:
		r.fail(n.at, "%s has no shvRI; %s was expected", what, ruleExample)
		return rule
	}
	var err error
	if rule.RI, err = shvpath.ParseRI(text); err != nil {
		r.fail(at, "%s: %w", what, err)
	}
	if rule.RI.OfSignals() {
		r.warn(at, "%s has no effect: it names a signal, and rules are about methods", what)
	}
	if grant == nil {
		r.fail(n.at, "%s has no grant; %s was expected", what, ruleExample)
		return rule
	}
	rule.Level = r.level(grant, what)
	return rule
}

// noAccess is the grant of a rule that forbids.
const noAccess = "none"

func (r *reader) level(n *node, what string) rpc.Access {
	level, ok := rpc.ParseAccess(n.text)
	if n.kind != scalar || !ok && n.text != noAccess {
		r.fail(n.at, "the grant of %s is %q; one of bws, rd, wr, cmd, cfg, srv, ssrv, dev, su, none was expected", what, n.text)
	}
	return level
}

func (r *reader) patterns(n *node, what string) (patterns []shvpath.Pattern) {
	r.eachText(n, what, `["test/**"]`, func(item *node, text string) error {
		p, err := shvpath.ParsePattern(text)
		patterns = append(patterns, p)
		return err
	})
	return patterns
}

func (r *reader) networks(n *node, what string) (networks []netip.Prefix) {
	r.eachText(n, what, "[10.0.0.0/8, 192.168.1.7]", func(item *node, text string) error {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			return nil
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%q is no network such as 10.0.0.0/8", text)
		}
		if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96) // as peers are compared
		}
		networks = append(networks, p.Masked())
		return nil
	})
	return networks
}

func (r *reader) texts(n *node, what string) (texts []string) {
	r.eachText(n, what, "[a, b]", func(_ *node, text string) error {
		texts = append(texts, text)
		return nil
	})
	return texts
}

func (r *reader) eachText(n *node, what, example string, do func(item *node, text string) error) {
	if !r.is(n, list, what, example) {
		return
	}
	for _, item := range n.list {
		if !r.is(item, scalar, "an item of "+what, example) {
			continue
		}
		if err := do(item, item.text); err != nil {
			r.fail(item.at, "%s: %w", what, err)
		}
	}
}

func (r *reader) text(n *node, what string) string {
	r.is(n, scalar, what, "a text")
	return n.text
}

func (r *reader) truth(n *node, what string) bool {
	if n.kind != scalar || n.text != "true" && n.text != "false" {
		r.fail(n.at, "%s is neither true nor false", what)
	}
	return n.text == "true"
}

// date reads a time as the other brokers write it, or a day; null is never.
func (r *reader) date(n *node, what string) time.Time {
	if n.kind == null {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", time.DateTime, "2006-01-02T15:04:05.999-0700", "2006-01-02T15:04:05-07", time.DateOnly} {
		if t, err := time.Parse(layout, n.text); err == nil {
			return t
		}
	}
	r.fail(n.at, "%s is no time such as 2027-12-31T23:59:59Z", what)
	return time.Time{}
}

// checkName refuses names that could not be written to a file, or shown.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > 256:
		return errors.New("the name is longer than 256 bytes")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name has characters that cannot be printed")
	}
	return nil
}
