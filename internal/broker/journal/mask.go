package journal

import (
	"strings"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// masked replaces a secret.
var masked = chainpack.String("***")

// maskTunnel hides keys 4 (Secret) and 7 (URL and Secret) of a TunnelCtl.
func maskTunnel(v chainpack.Value) chainpack.Value {
	return mapEntries(v, func(key chainpack.Key, value chainpack.Value) chainpack.Value {
		if key.IsInt() && (key.Int() == 4 || key.Int() == 7) {
			if s, ok := value.AsString(); ok && s == "" {
				return value
			}
			return masked
		}
		return value
	})
}

// secretFields are the names of fields in a param whose values are secret.
var secretFields = map[string]map[string]bool{
	"login":   {"password": true, "token": true},
	"options": {"tunnel": true},
	"ext":     {"env": true, "run": true, "inband": true},
}

// inBandNode is the node below which each in-band session has a secret name.
const inBandNode = ".rexec/"

// maskPath hides the name of an in-band session.
func maskPath(path string) string {
	if at := strings.Index(path, inBandNode); at == 0 || at > 0 && path[at-1] == '/' {
		return path[:at+len(inBandNode)] + "***"
	}
	return path
}

// inBandData reports whether a param or result is [channel, offset, Blob] or [channel,
// Blob, offset]: what is typed or shown in an in-band session.
func inBandData(v chainpack.Value) bool {
	return v.Kind() == chainpack.KindList && v.Len() == 3 && v.At(0).Kind() == chainpack.KindInt &&
		(v.At(1).Kind() == chainpack.KindBlob || v.At(2).Kind() == chainpack.KindBlob)
}

// maskBody hides the secrets in a param or a result.
func maskBody(body chainpack.Value) chainpack.Value {
	return mapEntries(body, func(key chainpack.Key, value chainpack.Value) chainpack.Value {
		if key.IsInt() && (key.Int() == rpc.KeyParam || key.Int() == rpc.KeyResult) {
			if inBandData(value) {
				return masked
			}
			return maskAccess(maskFields(value))
		}
		return value
	})
}

func maskFields(v chainpack.Value) chainpack.Value {
	command := isCommand(v)
	return mapEntries(v, func(outer chainpack.Key, value chainpack.Value) chainpack.Value {
		if command && outer.Str() == "params" {
			return masked
		}
		secret := secretFields[outer.Str()]
		if secret == nil {
			return value
		}
		return mapEntries(value, func(inner chainpack.Key, value chainpack.Value) chainpack.Value {
			if secret[inner.Str()] {
				return masked
			}
			return value
		})
	})
}

// sessionToken begins the tokens that a login can ask for.
const sessionToken = "session-token:"

// maskAccess hides passwords and tokens at any depth: those of users that are read or set,
// and the token in the answer to a login.
func maskAccess(v chainpack.Value) chainpack.Value {
	switch v.Kind() {
	case chainpack.KindString:
		if text, _ := v.AsString(); strings.HasPrefix(text, sessionToken) {
			return masked
		}
	case chainpack.KindList:
		items := make([]chainpack.Value, v.Len())
		for i := range items {
			items[i] = maskAccess(v.At(i))
		}
		return chainpack.List(items...).WithMeta(v.Meta()...)
	}
	return mapEntries(v, func(key chainpack.Key, value chainpack.Value) chainpack.Value {
		switch key.Str() {
		case "password", "token", "tokens":
			return masked
		}
		return maskAccess(value)
	})
}

// isCommand reports whether a param of launchRexec is a command line, which is as secret
// as ext.run. The name of a shell is not secret.
func isCommand(v chainpack.Value) bool {
	method, _ := v.Get("method")
	switch name, _ := method.AsString(); name {
	case "runCmd":
		return true
	case "runPtyCmd":
		params, _ := v.Get("params")
		return params.Len() > 0 && params.At(0).Kind() == chainpack.KindList
	}
	return false
}

// mapEntries returns a Map or IMap with each value changed by f, and anything else as it
// is.
func mapEntries(v chainpack.Value, f func(chainpack.Key, chainpack.Value) chainpack.Value) chainpack.Value {
	kind := v.Kind()
	if kind != chainpack.KindMap && kind != chainpack.KindIMap {
		return v
	}
	entries := make([]chainpack.Entry, v.Len())
	for i, e := range v.Entries() {
		entries[i] = chainpack.Entry{Key: e.Key, Value: f(e.Key, e.Value)}
	}
	if kind == chainpack.KindIMap {
		return chainpack.IMap(entries...).WithMeta(v.Meta()...)
	}
	return chainpack.Map(entries...).WithMeta(v.Meta()...)
}
