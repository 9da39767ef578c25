package auth_test

import (
	"net/netip"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/login"
)

// Whatever ends a login ends its session token for good, be the cause taken back or not.
func TestSessionTokensEndWithTheirLogin(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, tt := range map[string]struct {
		lose func(*auth.User)
		gone bool
	}{
		"nothing":     {func(*auth.User) {}, false},
		"rules":       {func(u *auth.User) { u.Rules = nil }, false},
		"deactivated": {func(u *auth.User) { u.Deactivated = true }, true},
		"expired":     {func(u *auth.User) { u.Expires = now.Add(-time.Second) }, true},
		"password":    {func(u *auth.User) { u.Password = auth.PlainPassword("other") }, true},
		"removed":     {func(u *auth.User) { u.Name = "another" }, true},
		"address":     {func(u *auth.User) { u.Networks = [][]netip.Prefix{{netip.MustParsePrefix("10.0.0.0/8")}} }, false},
	} {
		eva := auth.User{Name: "eva", Password: auth.PlainPassword("secret")}
		s := auth.NewStore(auth.NewDirectory(&eva))
		l, err := s.Check(nil, auth.Attempt{User: "eva", Password: "secret", Type: login.Plain, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		token := s.Issue(l, now)
		changed := eva
		tt.lose(&changed)
		s.Swap(auth.NewDirectory(&changed))
		s.Swap(auth.NewDirectory(&eva)) // and back
		if _, err := s.Check(nil, auth.Attempt{Type: login.Token, Token: token, Now: now}); (err != nil) != tt.gone {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token that is renewed by itself would never end.
func TestTokensAreNotRenewedByThemselves(t *testing.T) {
	t.Parallel()
	now := time.Now()
	directory, faults := auth.Build(auth.Access{Users: map[string]auth.UserEntry{
		"eva": {Password: auth.PlainPassword("secret"), Tokens: []string{"static-token-of-eva"}}}})
	if faults != nil {
		t.Fatal(faults)
	}
	s := auth.NewStore(directory)
	by := func(token string, at time.Time) (auth.Login, error) {
		return s.Check(nil, auth.Attempt{Type: login.Token, Token: token, Now: at})
	}
	first, err := s.Check(nil, auth.Attempt{User: "eva", Password: "secret", Type: login.Plain, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	token := s.Issue(first, now)
	for at := now; at.Before(now.Add(auth.SessionLife)); at = at.Add(time.Hour) {
		l, err := by(token, at)
		if err != nil {
			t.Fatal(err)
		}
		if next := s.Issue(l, at); next != token {
			t.Fatalf("another token for a token, after %s", at.Sub(now))
		}
	}
	if _, err := by(token, now.Add(auth.SessionLife)); err == nil {
		t.Error("it is good for longer than the first login")
	}
	static, err := by("static-token-of-eva", now)
	if err != nil || s.Issue(static, now) != "session-token:static-token-of-eva" {
		t.Errorf("a token of the configuration: %v", err)
	}
	if l, err := by("session-token:static-token-of-eva", now); err != nil || l.User.Name != "eva" {
		t.Errorf("as it is returned: %v", err)
	}
}

func TestRevokedTokensAreDenied(t *testing.T) {
	t.Parallel()
	now := time.Now()
	eva := &auth.User{Name: "eva", Password: auth.PlainPassword("secret")}
	s := auth.NewStore(auth.NewDirectory(eva))
	l, err := s.Check(nil, auth.Attempt{User: "eva", Password: "secret", Type: login.Plain, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	token, other := s.Issue(l, now), s.Issue(l, now)
	if !s.Revoke(token) || s.Revoke(token) || s.Revoke("") || s.Revoke("session-token:") {
		t.Error("what is revoked")
	}
	for text, good := range map[string]bool{token: false, other: true} {
		if _, err := s.Check(nil, auth.Attempt{Type: login.Token, Token: text, Now: now}); (err == nil) != good {
			t.Errorf("%v, want %v", err, good)
		}
	}
	for range 200 { // the bound of a user still counts right
		s.Revoke(s.Issue(l, now))
	}
	if _, err := s.Check(nil, auth.Attempt{Type: login.Token, Token: other, Now: now}); err != nil {
		t.Errorf("revoked tokens count: %v", err)
	}
}
