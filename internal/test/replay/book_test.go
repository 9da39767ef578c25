package replay

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"regexp"

	"shvtools/internal/shv/chainpack"
)

// passwords are all passwords in the captures; "" is the helper's.
var passwords = []string{"lub42DUB", "guest", "wrong", "bad", "x", ""}

// book maps values of the recorded run that differ in each run to those of this run.
type book struct {
	ids     map[int64]int64   // client ids: recorded to ours
	secrets map[string]string // of tunnels: recorded to ours
	nonces  map[string]nonces // of connections
}

type nonces struct{ recorded, ours string }

func newBook() *book {
	return &book{ids: map[int64]int64{}, secrets: map[string]string{}, nonces: map[string]nonces{}}
}

var (
	nonceForm  = regexp.MustCompile(`^[0-9]{10,32}$`) // spec.md 5.3
	secretForm = regexp.MustCompile(`^[0-9a-f]{40}$`) // spec.md 3.5
)

// learn stores the nonce, client id or secret that our program sent instead of the
// recorded one.
func (b *book) learn(conn string, recorded, ours chainpack.Value) error {
	if was, ok := at(recorded, 2, "nonce").AsString(); ok {
		is, _ := at(ours, 2, "nonce").AsString()
		if !nonceForm.MatchString(is) {
			return fmt.Errorf("nonce %q", is)
		}
		if before, ok := b.nonces[conn]; ok && before.ours != is {
			return fmt.Errorf("a second hello got nonce %s, the first %s", is, before.ours)
		}
		b.nonces[conn] = nonces{was, is}
	}
	if was, ok := at(recorded, 2, "clientId").AsInt(); ok {
		is, _ := at(ours, 2, "clientId").AsInt()
		for before, used := range b.ids {
			if is <= 0 || (is == used) != (before == was) {
				return fmt.Errorf("client id %d instead of %d", is, was)
			}
		}
		b.ids[was] = is
	}
	if state, _ := control(recorded, 1).AsInt(); state == 2 {
		was, _ := control(recorded, 4).AsString()
		is, _ := control(ours, 4).AsString()
		if !secretForm.MatchString(is) {
			return fmt.Errorf("secret %q", is)
		}
		for _, used := range b.secrets {
			if is == used {
				return fmt.Errorf("secret %s given twice", is)
			}
		}
		b.secrets[was] = is
	}
	return nil
}

// rewrite replaces the recorded values in a message by those of this run.
func (b *book) rewrite(conn string, v chainpack.Value) (chainpack.Value, error) {
	meta := replaced(v.Meta(), chainpack.IntKey(11), b.callers)
	meta = replaced(meta, chainpack.IntKey(13), b.callers)
	meta = replaced(meta, chainpack.IntKey(15), func(ctl chainpack.Value) chainpack.Value {
		entries := replaced(ctl.Entries(), chainpack.IntKey(4), b.secret)
		entries = replaced(entries, chainpack.IntKey(6), b.callers)
		return chainpack.IMap(entries...).WithMeta(ctl.Meta()...)
	})
	if len(v.Entries()) == 0 {
		return v.WithMeta(meta...), nil
	}
	var failed error
	body := chainpack.IMap(v.Entries()...)
	body = edit(body, func(nonce chainpack.Value) chainpack.Value {
		return chainpack.String(b.nonces[conn].ours)
	}, 2, "nonce")
	body = edit(body, b.callers, 2, "clientId")
	body = edit(body, b.secret, 1, "options", "tunnel", "secret")
	if kind, _ := at(v, 1, "login", "type").AsString(); kind != "PLAIN" {
		body = edit(body, func(hash chainpack.Value) chainpack.Value {
			text, _ := hash.AsString()
			var again string
			again, failed = b.rehash(conn, text)
			return chainpack.String(again)
		}, 1, "login", "password")
	}
	return body.WithMeta(meta...), failed
}

func (b *book) callers(v chainpack.Value) chainpack.Value {
	if id, ok := v.AsInt(); ok {
		if ours, known := b.ids[id]; known {
			return chainpack.Int(ours)
		}
		return v
	}
	if v.Kind() != chainpack.KindList {
		return v
	}
	var ids []chainpack.Value
	for _, item := range v.Items() {
		ids = append(ids, b.callers(item))
	}
	return chainpack.List(ids...)
}

func (b *book) secret(v chainpack.Value) chainpack.Value {
	was, _ := v.AsString()
	if ours, known := b.secrets[was]; known {
		return chainpack.String(ours)
	}
	return v
}

// rehash returns the hash of the same password with our nonce instead of the recorded one.
func (b *book) rehash(conn, hash string) (string, error) {
	if len(hash) != 40 {
		return hash, nil // not a hash: "" in a raw tunnel login, x in a wrong login
	}
	n := b.nonces[conn]
	for _, password := range passwords {
		if passwordHash(n.recorded, password) == hash {
			return passwordHash(n.ours, password), nil
		}
	}
	return "", fmt.Errorf("hash %s for nonce %s belongs to no known password", hash, n.recorded)
}

// passwordHash returns the SHA1 form of spec.md 5.2. Later C++ programs use it for an
// empty password too.
func passwordHash(nonce, password string) string {
	return hexSHA1(nonce + hexSHA1(password))
}

func hexSHA1(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// control returns a key of the TunnelCtl of a message; Null if it is absent.
func control(v chainpack.Value, key int64) chainpack.Value {
	ctl, _ := chainpack.Lookup(v.Meta(), chainpack.IntKey(15))
	field, _ := ctl.GetInt(key)
	return field
}

// tag returns a tag of the meta.
func tag(v chainpack.Value, number int64) (chainpack.Value, bool) {
	return chainpack.Lookup(v.Meta(), chainpack.IntKey(number))
}

// at returns the value at a path of keys in nested maps; Null if a key is absent.
func at(v chainpack.Value, body int64, keys ...string) chainpack.Value {
	v, _ = v.GetInt(body)
	for _, key := range keys {
		v, _ = v.Get(key)
	}
	return v
}

// always returns a function for edit and replaced that replaces each value by v.
func always(v chainpack.Value) func(chainpack.Value) chainpack.Value {
	return func(chainpack.Value) chainpack.Value { return v }
}

// tunnelData returns a message with bytes of a tunnel on a channel.
func tunnelData(channel int64, data string, meta []chainpack.Entry) chainpack.Value {
	content := chainpack.List(chainpack.Int(channel), chainpack.String(data))
	return chainpack.IMap(chainpack.N(2, content)).WithMeta(meta...)
}

// edit returns v with the value that at would find replaced. If there is none, it returns v.
func edit(v chainpack.Value, f func(chainpack.Value) chainpack.Value, body int64, keys ...string) chainpack.Value {
	inner, ok := v.GetInt(body)
	if !ok {
		return v
	}
	if changed, found := editMap(inner, f, keys); found {
		return chainpack.IMap(replaced(v.Entries(), chainpack.IntKey(body), always(changed))...)
	}
	return v
}

func editMap(v chainpack.Value, f func(chainpack.Value) chainpack.Value, keys []string) (chainpack.Value, bool) {
	if len(keys) == 0 {
		return f(v), true
	}
	inner, ok := v.Get(keys[0])
	if !ok {
		return v, false
	}
	changed, found := editMap(inner, f, keys[1:])
	if !found {
		return v, false
	}
	return chainpack.Map(replaced(v.Entries(), chainpack.StringKey(keys[0]), always(changed))...), true
}

// replaced returns entries with one value changed.
func replaced(entries []chainpack.Entry, key chainpack.Key, f func(chainpack.Value) chainpack.Value) []chainpack.Entry {
	changed := make([]chainpack.Entry, len(entries))
	for i, e := range entries {
		if e.Key == key {
			e.Value = f(e.Value)
		}
		changed[i] = e
	}
	return changed
}

// without returns entries without one key.
func without(entries []chainpack.Entry, key chainpack.Key) []chainpack.Entry {
	var kept []chainpack.Entry
	for _, e := range entries {
		if e.Key != key {
			kept = append(kept, e)
		}
	}
	return kept
}
