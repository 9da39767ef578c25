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
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
)

// reader reads the files of one configuration, or the param of one call. What many
// entries say in the same words they share.
type reader struct {
	conf.Reader
	size  int      // of what was read, in bytes
	files []string // that were read
	// ofChanges is set while the access file is read, and overlay while an entry of it that has
	// only some fields.
	ofChanges, overlay bool

	patterns map[string]shvpath.Pattern
	ris      map[string]shvpath.RI
	lists    map[string][]string
}

func newReader() *reader {
	return &reader{
		Reader:   conf.Reader{NullIsNone: true, Tags: true},
		patterns: make(map[string]shvpath.Pattern), ris: make(map[string]shvpath.RI),
		lists: make(map[string][]string),
	}
}

// reading is an entry that is being read.
type reading[T any] struct {
	in *reader
	to *T
}

// field is a key of an entry of type T.
func field[T any](name string, read func(in *reader, n *conf.Node, to *T)) conf.Field[reading[T]] {
	return conf.Field[reading[T]]{Name: name,
		Read: func(_ *conf.Reader, n *conf.Node, into *reading[T]) { read(into.in, n, into.to) }}
}

func silent[T any](f conf.Field[T]) conf.Field[T] {
	f.Silent = true
	return f
}

var userFields = []conf.Field[reading[auth.UserEntry]]{
	changeField[auth.UserEntry](),
	field("password", func(in *reader, n *conf.Node, u *auth.UserEntry) { u.Password = in.password(n) }),
	silent(field("passwordFormat", func(*reader, *conf.Node, *auth.UserEntry) {})), // password asks for it
	field("roles", func(in *reader, n *conf.Node, u *auth.UserEntry) { u.Roles = in.names(n) }),
	silent(field("grants", func(in *reader, n *conf.Node, u *auth.UserEntry) { u.Roles = in.names(n) })),
	field("tokens",
		func(in *reader, n *conf.Node, u *auth.UserEntry) { u.Tokens = token.ReadList(&in.Reader, n, "[TOKEN]") }),
	field("certificates", func(in *reader, n *conf.Node, u *auth.UserEntry) {
		u.Certificates = certName.ReadList(&in.Reader, n, `["cn:pump-7"]`)
	}),
	field("deactivated",
		func(in *reader, n *conf.Node, u *auth.UserEntry) { u.Deactivated, _ = conf.Bool.Read(&in.Reader, n) }),
	field("deactivated_reason", func(in *reader, n *conf.Node, u *auth.UserEntry) {
		u.DeactivatedReason, _ = conf.Text.Read(&in.Reader, n)
	}),
	field("expires", func(in *reader, n *conf.Node, u *auth.UserEntry) { u.Expires, _ = date.Read(&in.Reader, n) }),
	field("allowed-ips", func(in *reader, n *conf.Node, u *auth.UserEntry) {
		if u.Networks = in.networks(n); n.Kind() == conf.List && len(n.Items()) == 0 {
			in.Warn(n, "an empty list: the user may come from anywhere")
		}
	}),
	field("mount-points", func(in *reader, n *conf.Node, u *auth.UserEntry) { u.Mounts = in.mountPoints(n) }),
	field("mount-by-device-id",
		func(in *reader, n *conf.Node, u *auth.UserEntry) { u.ByDeviceID, _ = conf.Bool.Read(&in.Reader, n) }),
}

// user reads an entry of users. One without a password keeps that of before.
func (in *reader) user(n *conf.Node, before auth.UserEntry) auth.UserEntry {
	var u auth.UserEntry
	conf.ReadMap(&in.Reader, n, &reading[auth.UserEntry]{in, &u}, userFields)
	given := n.Child("password") != nil
	if !given {
		u.Password = before.Password
	}
	if n.Child("tokens") == nil {
		u.Tokens = before.Tokens
	}
	if n.Kind() == conf.Map && u.Password == (auth.Password{}) && u.Tokens == nil && u.Certificates == nil && !given &&
		!in.overlay {
		in.Fail(n, "no password (want password: %s; or certificates)", passwordForms)
	}
	return u
}

// roleShare is how many times the even part of another user one of the role has.
var roleShare = conf.Between(conf.Count, 1, 1000)

var roleFields = []conf.Field[reading[auth.RoleEntry]]{
	changeField[auth.RoleEntry](),
	field("roles", func(in *reader, n *conf.Node, role *auth.RoleEntry) { role.Roles = in.names(n) }),
	silent(field("grants", func(in *reader, n *conf.Node, role *auth.RoleEntry) { role.Roles = in.names(n) })),
	field("access", func(in *reader, n *conf.Node, role *auth.RoleEntry) { role.Rules = in.rules(n) }),
	field("mount-points", func(in *reader, n *conf.Node, role *auth.RoleEntry) { role.Mounts = in.mountPoints(n) }),
	field("mount-by-device-id", func(in *reader, n *conf.Node, role *auth.RoleEntry) {
		role.ByDeviceID, _ = conf.Bool.Read(&in.Reader, n)
	}),
	field("mount-inside", func(in *reader, n *conf.Node, role *auth.RoleEntry) {
		role.MountInside, _ = conf.Bool.Read(&in.Reader, n)
	}),
	field("allowed-ips", func(in *reader, n *conf.Node, role *auth.RoleEntry) {
		role.Networks, role.HasNetworks = in.networks(n), true
	}),
	field("share", func(in *reader, n *conf.Node, role *auth.RoleEntry) {
		share, _ := roleShare.Read(&in.Reader, n)
		role.Share = int(share)
	}),
	silent(field("profile", func(in *reader, n *conf.Node, _ *auth.RoleEntry) { in.ignored(n) })),
	silent(field("weight", func(in *reader, n *conf.Node, _ *auth.RoleEntry) { in.ignored(n) })),
}

// role reads an entry of roles.
func (in *reader) role(n *conf.Node) (role auth.RoleEntry) {
	conf.ReadMap(&in.Reader, n, &reading[auth.RoleEntry]{in, &role}, roleFields)
	return role
}

// ignored is for keys of other brokers: a file may have them, a call may not, since
// they would be lost.
func (in *reader) ignored(n *conf.Node) {
	if n.Place().InFile() {
		in.WarnKey(n, "not used by this broker")
		return
	}
	in.Fail(n, "not kept by this broker")
}

var deviceFields = []conf.Field[reading[auth.DeviceEntry]]{
	changeField[auth.DeviceEntry](),
	field("mountPoint",
		func(in *reader, n *conf.Node, d *auth.DeviceEntry) { d.MountPoint = in.mountPoint(n) }),
	field("description",
		func(in *reader, n *conf.Node, d *auth.DeviceEntry) { d.Description, _ = conf.Text.Read(&in.Reader, n) }),
}

// device reads an entry of mounts.
func (in *reader) device(n *conf.Node) (d auth.DeviceEntry) {
	at := n
	if n.Kind() == conf.Scalar { // a short form of the C++ broker
		if d.MountPoint = in.mountPoint(n); d.MountPoint == "" {
			return d
		}
	} else if !conf.ReadMap(&in.Reader, n, &reading[auth.DeviceEntry]{in, &d}, deviceFields) {
		return d
	} else if mountPoint := n.Child("mountPoint"); mountPoint != nil {
		at = mountPoint
	}
	if d.MountPoint == "" && at.Kind() != conf.Faulty && (!in.overlay || at != n) {
		in.Fail(at, "no mountPoint (want a path such as plant/pump7)")
	}
	return d
}

const passwordForms = "!Plain TEXT, !Sha1 HEX, or the hash that shvbroker --hash-password prints"

// password reads the forms of all brokers. Its faults do not repeat it.
func (in *reader) password(n *conf.Node) auth.Password {
	form, text := "", ""
	switch format := n.Parent().Child("passwordFormat"); { // of old C++ brokers
	case n.Kind() == conf.Scalar && format != nil:
		form, text = format.Text(), n.Text()
	case n.Kind() == conf.Scalar && strings.HasPrefix(n.Text(), "$argon2id$"):
		form, text = "argon2id", n.Text()
	case n.Kind() == conf.Map && n.Child("format") != nil && n.Child("password") != nil && len(n.Items()) == 2:
		form, text = n.Child("format").Text(), n.Child("password").Text()
	case n.Kind() == conf.Map && len(n.Items()) == 1 && n.Items()[0].Kind() == conf.Scalar:
		form, text = n.Items()[0].Name(), n.Items()[0].Text()
	}
	var p auth.Password
	var err error
	switch strings.ToLower(form) {
	case "plain":
		p = auth.PlainPassword(text)
		if text == "" {
			in.Warn(n, "the password is empty, and matches nothing")
		}
	case "sha1":
		p, err = auth.SHA1Password(text)
	case "argon2id":
		p, err = auth.Argon2Password(text)
	default:
		err = errors.New("not a password (want " + passwordForms + ")")
	}
	if err != nil {
		in.Fail(n, "%w", err)
	}
	return p
}

// minToken: a token is not guessed, and not thought up.
const minToken = 16

// token is what logs a user in without a password. Its faults do not repeat it.
var token = conf.Type[string]{
	Name: "token", Want: "a token", Show: func(string) string { return hidden },
	Parse: func(text string) (string, error) {
		if len(text) < minToken {
			return "", fmt.Errorf("a token of %d characters is too short (want at least %d)", len(text), minToken)
		}
		return text, nil
	},
}

var certName = conf.Type[auth.CertName]{
	Name: "name of a certificate", Want: auth.CertNameForms,
	Parse: auth.ParseCertName, Show: auth.CertName.String,
}

const ruleExample = `{shvRI: "test/**:*", grant: rd}`

// rules reads a list of rules: {shvRI, grant}, or {pathPattern, method, role} as SHV 2
// has them.
func (in *reader) rules(n *conf.Node) []auth.Rule {
	if !in.Is(n, conf.List, "["+ruleExample+"]") {
		return nil
	}
	rules := make([]auth.Rule, 0, len(n.Items()))
	for _, item := range n.Items() {
		rules = append(rules, in.rule(item))
	}
	return rules
}

// ruleNodes are the values of a rule.
type ruleNodes struct{ ri, path, method, grant *conf.Node }

func ruleField(name string, node func(*ruleNodes) **conf.Node) conf.Field[ruleNodes] {
	return conf.Field[ruleNodes]{Name: name, Read: func(r *conf.Reader, n *conf.Node, nodes *ruleNodes) {
		at := node(nodes)
		if *at != nil {
			r.FailKey(n, "the same as %s, which the rule has already (want one of them)", (*at).Name())
			return
		}
		*at = n
	}}
}

var ruleFields = []conf.Field[ruleNodes]{
	ruleField("shvRI", func(n *ruleNodes) **conf.Node { return &n.ri }),
	ruleField("grant", func(n *ruleNodes) **conf.Node { return &n.grant }),
	ruleField("accessLevel", func(n *ruleNodes) **conf.Node { return &n.grant }),
	ruleField("pathPattern", func(n *ruleNodes) **conf.Node { return &n.path }),
	ruleField("method", func(n *ruleNodes) **conf.Node { return &n.method }),
	ruleField("role", func(n *ruleNodes) **conf.Node { return &n.grant }),
}

func (in *reader) rule(n *conf.Node) (rule auth.Rule) {
	var nodes ruleNodes
	if !in.Is(n, conf.Map, ruleExample) || !conf.ReadMap(&in.Reader, n, &nodes, ruleFields) {
		return rule
	}
	at, text := nodes.ri, ""
	switch {
	case nodes.ri != nil && nodes.path == nil && nodes.method == nil:
		text, _ = conf.Text.Read(&in.Reader, at)
	case nodes.path != nil && nodes.ri == nil:
		at = nodes.path
		text, _ = conf.Text.Read(&in.Reader, at)
		if nodes.method != nil {
			// Without a method, or with an empty one, the rule is about all of them.
			if method, _ := conf.Text.Read(&in.Reader, nodes.method); method != "" {
				text += ":" + method
			}
		}
	default:
		in.Fail(n, "no shvRI (want %s)", ruleExample)
		return rule
	}
	var err error
	if rule.RI, err = in.ri(text); err != nil {
		in.Fail(at, "%w", err)
	}
	if rule.RI.OfSignals() {
		in.Warn(at, "the rule has no effect: it names a signal, and rules are about methods")
	}
	if nodes.grant == nil {
		in.Fail(n, "no grant (want %s)", ruleExample)
		return rule
	}
	rule.Level, _ = grant.Read(&in.Reader, nodes.grant)
	return rule
}

// noAccess is the grant of a rule that forbids.
const noAccess = "none"

var grant = conf.Type[rpc.Access]{
	Name: "grant", Want: "bws, rd, wr, cmd, cfg, srv, ssrv, dev, su or none", Show: rpc.Access.String,
	Parse: func(text string) (rpc.Access, error) {
		level, ok := rpc.ParseAccess(text)
		if !ok && text != noAccess {
			return level, conf.ErrInvalid
		}
		return level, nil
	},
}

func (in *reader) mountPoints(n *conf.Node) []shvpath.Pattern {
	pattern := conf.Pattern
	pattern.Parse = in.mountPattern
	return pattern.ReadList(&in.Reader, n, `["site/{user}"]`)
}

// mountPattern is pattern for one of mount points. One that can match nothing is a fault.
func (in *reader) mountPattern(text string) (shvpath.Pattern, error) {
	if err := auth.CheckMountPattern(text); err != nil {
		return shvpath.Pattern{}, err
	}
	p, err := in.pattern(text)
	if err == nil && !auth.HasWildcard(p.String()) {
		err = checkMount(strings.ReplaceAll(p.String(), `\`, "")) // the path that it means
	}
	return p, err
}

// mountPoint reads where a device of an id is mounted; "" after a fault.
func (in *reader) mountPoint(n *conf.Node) string {
	path, ok := conf.Path.Read(&in.Reader, n)
	if !ok || path == "" {
		return path
	}
	err := checkMount(path)
	if err == nil && (strings.Contains(path, "{user}") || strings.Contains(path, "{cn}")) {
		err = fmt.Errorf("invalid mount point %q: only mount-points have {user} and {cn}", path)
	}
	if err != nil {
		in.Fail(n, "%w", err)
		return ""
	}
	return path
}

// checkMount returns a fault if nothing can be mounted at a path.
func checkMount(path string) error {
	if err := mounts.Check(path); err != nil {
		return fmt.Errorf("invalid mount point %q: %w (want a path such as site/pump7)", path, err)
	}
	return nil
}

// pattern and ri parse a text once.
func (in *reader) pattern(text string) (shvpath.Pattern, error) {
	if p, ok := in.patterns[text]; ok {
		return p, nil
	}
	p, err := shvpath.ParsePattern(text)
	if err == nil {
		in.patterns[text] = p
	}
	return p, err
}

func (in *reader) ri(text string) (shvpath.RI, error) {
	if ri, ok := in.ris[text]; ok {
		return ri, nil
	}
	ri, err := shvpath.ParseRI(text)
	if err == nil {
		in.ris[text] = ri
	}
	return ri, err
}

// names reads the names of roles.
func (in *reader) names(n *conf.Node) []string {
	names := conf.Text.ReadList(&in.Reader, n, "[operator, viewer]")
	key := fmt.Sprintf("%q", names)
	if same, ok := in.lists[key]; ok {
		return same
	}
	in.lists[key] = slices.Clip(names)
	return in.lists[key]
}

var network = conf.Type[netip.Prefix]{
	Name: "network", Want: "one such as 10.0.0.0/8 or 192.168.1.7", Show: netip.Prefix.String,
	Parse: func(text string) (netip.Prefix, error) {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			return netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return p, conf.ErrInvalid
		}
		if addr := p.Addr(); addr.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96) // as peers are compared
		}
		return p.Masked(), nil
	},
}

func (in *reader) networks(n *conf.Node) []netip.Prefix {
	return network.ReadList(&in.Reader, n, "[10.0.0.0/8, 192.168.1.7]")
}

// dates are how the other brokers write a time, and days.
var dates = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", time.DateTime, "2006-01-02T15:04:05.999-0700",
	"2006-01-02T15:04:05-07", time.DateOnly,
}

var date = conf.Type[time.Time]{
	Name: "time", Want: "one such as 2027-12-31T23:59:59Z", Show: time.Time.String,
	Parse: func(text string) (time.Time, error) {
		for _, layout := range dates {
			if t, err := time.Parse(layout, text); err == nil {
				return t, nil
			}
		}
		return time.Time{}, conf.ErrInvalid
	},
}

// checkName refuses names that could not be written to a file, or shown.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name is longer than %d bytes", maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name has characters that cannot be printed")
	}
	return nil
}

const maxName = 256
