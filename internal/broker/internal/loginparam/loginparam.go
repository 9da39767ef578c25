// Package loginparam reads what a peer says when it logs in to a broker: the param of the
// method login (spec.md 5.4, protocol.md 5). It judges nothing; packages auth and core do.
package loginparam

import (
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
)

// Param is the param of a login. What the peer left out, or gave in another type, is zero.
type Param struct {
	User, Password, Token, Type string

	Helper     bool   // it logs in with the secret of a tunnel
	Secret     string // that one
	Session    bool   // it asks for a session token
	Broker     bool   // it says that it is a child broker
	DeviceID   string
	MountPoint string        // as it was given
	Idle       time.Duration // how long the peer may be silent
}

// Read reads the param of a login.
func Read(param chainpack.Value) Param {
	who, _ := param.Get("login")
	options, _ := param.Get("options")
	device, _ := options.Get("device")
	tunnel, _ := options.Get("tunnel")
	broker, _ := options.Get("broker")
	return Param{
		User: text(who, "user"), Password: text(who, "password"), Token: text(who, "token"), Type: text(who, "type"),

		Helper: tunnel.Kind() == chainpack.KindMap, Secret: text(tunnel, "secret"),
		Session:  flag(options, "session"),
		Broker:   broker.Kind() == chainpack.KindMap,
		DeviceID: text(device, "deviceId"), MountPoint: text(device, "mountPoint"),
		Idle: login.IdleLimit(options),
	}
}

func text(v chainpack.Value, name string) string {
	field, _ := v.Get(name)
	text, _ := field.AsString()
	return text
}

func flag(v chainpack.Value, name string) bool {
	field, _ := v.Get(name)
	set, _ := field.AsBool()
	return set
}
