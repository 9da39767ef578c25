package replay

import (
	"net"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

func TestBrokerAnswersRecordedClientsAsTheCppBrokerDid(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			events := scene(t, s.name)
			synctest.Test(t, func(t *testing.T) {
				port := s.port
				if port == 0 {
					port = 3756
				}
				p := &player{
					t:        t,
					broker:   core.New(core.Options{Users: users(), Version: "1.2.3"}),
					listener: world.NewListener(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}),
					book:     newBook(),
					differs:  fresh(s.differs),
					kill:     s.kill,
					clients:  make(map[string]*played),
				}
				go p.broker.Serve(p.listener)
				defer p.finish()
				p.play(events)
			})
		})
	}
}

// users returns the users of the recorded broker: the development user and two others.
func users() *auth.Store {
	return auth.NewStore(auth.NewDirectory(auth.Development().User(login.DevelopmentUser),
		&auth.User{
			Name: "guest", Password: auth.PlainPassword("guest"),
			Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessBrowse)},
		},
		&auth.User{Name: "sitesprovider", Password: auth.PlainPassword("lub42DUB")}))
}
