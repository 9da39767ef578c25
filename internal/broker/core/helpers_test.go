package core_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plainLogin is a login with a request id, a password, a type and a user.
const plainLogin = `<1:1,8:%d,10:"login">i{1:{"login":{"password":"%s","type":"%s","user":"%s"}}}`

// Facts of the documents that the broker has to keep to.
const (
	defaultIdle   = 180 * time.Second // silence after which a client is gone that asks for no watchdog (spec.md 6)
	longIdle      = 10 * time.Hour    // the watchdog of a client that asks for none (spec.md 6)
	maxLogins     = 3                 // failed logins of a connection (spec.md 5.5)
	maxStack      = 32                // caller ids of a message, the broker's own included (docs/protocol.md 5)
	maxTags       = 96                // entries of the meta of a message (docs/protocol.md 5)
	maxSignalPath = 4096              // bytes of the path of a signal (docs/protocol.md 5)
)

// ownNode is the node where a client asks about itself.
const ownNode = ".broker/currentClient"

// tunnelling are options of a broker that advertises an address for helpers.
var tunnelling = core.Options{Advertise: core.Address{Host: "10.0.3.93", Port: 3755}}

// isResult reports whether a response has no error.
func isResult(m *rpc.Message) bool {
	content, err := m.Content()
	return err == nil && content.Error == nil
}
