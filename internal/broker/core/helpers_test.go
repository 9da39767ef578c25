package core_test

import (
	"testing"

	"go.uber.org/goleak"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plainLogin is a login with a request id, a password, a type and a user.
const plainLogin = `<1:1,8:%d,10:"login">i{1:{"login":{"password":"%s","type":"%s","user":"%s"}}}`

// ownNode is where each client asks for itself.
const ownNode = ".broker/currentClient"

// tunnelling are options of a broker that advertises the seed's address.
var tunnelling = core.Options{Advertise: core.Address{Host: "10.0.3.93", Port: 3755}}

// isResult tells whether a response is none of an error.
func isResult(m *rpc.Message) bool {
	content, err := m.Content()
	return err == nil && content.Error == nil
}
