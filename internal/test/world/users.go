package world

import (
	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

const (
	// Password is the one of all Users except ann. It is well known, so the broker accepts
	// it only without an address and on loopback.
	Password = login.DevelopmentPassword
	// FarPassword is the one of ann, who may log in from anywhere.
	FarPassword = "nobody knows it"
)

// Users returns the users of a World:
//
//	iot    su at test, rd at .broker, else bws; mounts devices at test
//	eve    rd at test but for test/closed; mounts anywhere
//	ann    su; mounts at test; has FarPassword
//	child  rd; the role of a broker; mounts anywhere
//	root   su; the role admin; mounts anywhere
func Users() *auth.Store {
	secret := auth.PlainPassword(Password)
	mounts := func(pattern string) []shvpath.Pattern { return []shvpath.Pattern{shvpath.MustPattern(pattern)} }
	rule := auth.MustRule
	return auth.NewStore(auth.NewDirectory(
		&auth.User{Name: "iot", Password: secret, Mounts: mounts("test/**"), Rules: []auth.Rule{
			rule("test/**", rpc.AccessSuper), rule(".broker/**", rpc.AccessRead), rule("**", rpc.AccessBrowse)}},
		&auth.User{Name: "eve", Password: secret, Mounts: mounts("**"), Rules: []auth.Rule{
			rule("test/closed/**", rpc.AccessNone), rule("test/**", rpc.AccessRead), rule(".app", rpc.AccessBrowse)}},
		&auth.User{Name: "ann", Password: auth.PlainPassword(FarPassword), Mounts: mounts("test/**"), Rules: []auth.Rule{
			rule("**", rpc.AccessSuper)}},
		&auth.User{Name: "child", Password: secret, Roles: []string{"broker"}, Mounts: mounts("**"), Rules: []auth.Rule{
			rule("**", rpc.AccessRead)}},
		&auth.User{Name: "root", Password: secret, Roles: []string{"admin"}, Mounts: mounts("**"), Rules: []auth.Rule{
			rule("**", rpc.AccessSuper)}},
	))
}
