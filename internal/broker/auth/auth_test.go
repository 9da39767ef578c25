package auth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
)

func TestLoginsThatAreLetInAndOthers(t *testing.T) {
	const nonce, password = "1437608631", "lub42DUB"
	hash := login.Hash(nonce, password)
	store := auth.NewStore(auth.NewDirectory(
		&auth.User{Name: "iot", Password: auth.PlainPassword(password)},
		&auth.User{Name: "empty"},
	))
	for _, test := range []struct {
		name, user, password, loginType, nonce string
		ok                                     bool
	}{
		{"hash", "iot", hash, "SHA1", nonce, true},
		{"no type", "iot", hash, "", nonce, true},
		{"type of nobody", "iot", hash, "NOSUCH", nonce, true},
		{"plain", "iot", password, "PLAIN", nonce, true},
		{"hash as plain", "iot", hash, "PLAIN", nonce, false},
		{"plain as hash", "iot", password, "SHA1", nonce, false},
		{"type in small letters", "iot", password, "plain", nonce, false},
		{"another nonce", "iot", hash, "SHA1", "1437608632", false},
		{"wrong password", "iot", login.Hash(nonce, "lub42dub"), "SHA1", nonce, false},
		{"hash of nothing", "iot", login.Hash(nonce, ""), "SHA1", nonce, false},
		{"nothing", "iot", "", "SHA1", nonce, false},
		{"nothing, plain", "iot", "", "PLAIN", nonce, false},
		{"unknown user", "nobody", hash, "SHA1", nonce, false},
		{"unknown user, nothing", "nobody", "", "PLAIN", nonce, false},
		{"unknown user, hash of nothing", "nobody", login.Hash(nonce, ""), "SHA1", nonce, false},
		{"user in capitals", "IOT", hash, "SHA1", nonce, false},
		{"no user", "", hash, "SHA1", nonce, false},
		{"stored empty, nothing", "empty", "", "PLAIN", nonce, false},
		{"stored empty, hash of nothing", "empty", login.Hash(nonce, ""), "SHA1", nonce, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := store.Check(nil, auth.Attempt{User: test.user, Password: test.password, Type: test.loginType,
				Nonce: test.nonce})
			if test.ok && (err != nil || l.User.Name != test.user) {
				t.Errorf("refused: %v", err)
			}
			if !test.ok && (!errors.Is(err, auth.ErrLogin) || l.User != nil) {
				t.Errorf("let in: %v, %v", l.User, err)
			}
		})
	}
}

func TestDevelopmentUserHasRightsOnTestOnly(t *testing.T) {
	u := auth.Development().User(login.DevelopmentUser)
	for path, want := range map[string]rpc.Access{
		"test":           rpc.AccessSuper,
		"test/agent":     rpc.AccessSuper,
		"test/agent/a/b": rpc.AccessSuper,
		"tests":          rpc.AccessBrowse,
		".broker":        rpc.AccessRead,
		".broker/app":    rpc.AccessRead,
		".brokers":       rpc.AccessBrowse,
		".app":           rpc.AccessBrowse,
		"":               rpc.AccessBrowse,
		"x/test":         rpc.AccessBrowse,
	} {
		if got := u.Level([]byte(path), []byte("get")); got != want {
			t.Errorf("%q: %d, want %d", path, got, want)
		}
	}
	for path, want := range map[string]bool{"test/agent": true, "test": true, "testing": false, ".broker/x": false,
		"": false} {
		if got := u.MayMount([]byte(path)); got != want {
			t.Errorf("mount at %q: %v", path, got)
		}
	}
}

func TestSHA1LoginsAreRefusedWhereTheyAreNotAccepted(t *testing.T) {
	d, _ := auth.Build(auth.Access{Users: map[string]auth.UserEntry{"eva": {Password: auth.PlainPassword("hush")}}})
	d.RefuseSHA1()
	s := auth.NewStore(d)
	if got := fmt.Sprint(s.LoginTypes(true)); strings.Contains(got, login.SHA1) || !strings.Contains(got, login.Plain) {
		t.Errorf("types: %s", got)
	}
	for _, kind := range []string{login.SHA1, "", "unknown"} { // brokers treat any other type as SHA1
		_, err := s.Check(nil, auth.Attempt{User: "eva", Password: login.Hash("1234", "hush"), Nonce: "1234", Type: kind})
		if err == nil || !strings.Contains(auth.Reason(err), "SHA1 logins are not accepted") {
			t.Errorf("type %q: %v", kind, err)
		}
	}
	if _, err := s.Check(nil, auth.Attempt{User: "eva", Password: "hush", Type: login.Plain}); err != nil {
		t.Errorf("PLAIN: %v", err)
	}
}
