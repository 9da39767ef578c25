package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/login"
)

// Of the reference implementation: argon2 "somesalt" -id -t 2 -k 64 -p 1 -l 24.
const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func hashOf(t *testing.T, text string) auth.Password {
	t.Helper()
	p, err := auth.Argon2Password(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func check(s *auth.Store, user, password, loginType string) error {
	_, err := s.Check(nil, auth.Attempt{User: user, Password: password, Type: loginType, Nonce: "1437608631"})
	return err
}

func TestArgon2PasswordsOfOthersAndOurs(t *testing.T) {
	ours := auth.HashPassword("lub42DUB")
	if again := auth.HashPassword("lub42DUB"); again == ours {
		t.Error("two hashes with one salt")
	}
	s := auth.NewStore(auth.NewDirectory(
		&auth.User{Name: "theirs", Password: hashOf(t, reference)},
		&auth.User{Name: "ours", Password: hashOf(t, ours)},
		&auth.User{Name: "plain", Password: auth.PlainPassword("p")},
	))
	for _, test := range []struct {
		user, password, loginType string
		ok                        bool
	}{
		{"theirs", "password", "PLAIN", true},
		{"theirs", "Password", "PLAIN", false},
		{"theirs", reference, "PLAIN", false},
		{"theirs", login.Hash("1437608631", "password"), "SHA1", false},
		{"ours", "lub42DUB", "PLAIN", true},
		{"ours", "", "PLAIN", false},
		{"plain", "p", "PLAIN", true},
		{"plain", "password", "PLAIN", false}, // which is what its stand-in hash would take
		{"nobody", "password", "PLAIN", false},
		{"plain", login.Hash("1437608631", "p"), "SHA1", true},
	} {
		if err := check(s, test.user, test.password, test.loginType); (err == nil) != test.ok {
			t.Errorf("%s with %q as %s: %v", test.user, test.password, test.loginType, err)
		}
	}
	if err := check(s, "ours", "x", "SHA1"); err == nil || !strings.Contains(err.Error(), "PLAIN") {
		t.Errorf("the log does not tell what to do: %v", err)
	}
}

func TestSHA1PasswordsAreThoseOfOtherBrokers(t *testing.T) {
	p, err := auth.SHA1Password("5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8")
	if err != nil {
		t.Fatal(err)
	}
	s := auth.NewStore(auth.NewDirectory(&auth.User{Name: "u", Password: p}))
	for _, good := range [][2]string{{"password", "PLAIN"}, {login.Hash("1437608631", "password"), "SHA1"}} {
		if err := check(s, "u", good[0], good[1]); err != nil {
			t.Errorf("%s: %v", good[1], err)
		}
	}
	for _, bad := range [][2]string{{p.Text(), "PLAIN"}, {p.Text(), "SHA1"}, {"", "PLAIN"}} {
		if check(s, "u", bad[0], bad[1]) == nil {
			t.Errorf("let in with %q", bad[0])
		}
	}
	for _, text := range []string{"", "abc", strings.Repeat("g", 40), strings.Repeat("a", 42)} {
		if _, err := auth.SHA1Password(text); err == nil {
			t.Errorf("%q is taken for a SHA1", text)
		}
	}
}

func TestHashesThatCouldTakeTheMachineAreRefused(t *testing.T) {
	const salt = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, text := range []string{
		"", "x", "$argon2i$v=19$m=65536,t=2,p=1" + salt, "$argon2id$v=16$m=65536,t=2,p=1" + salt,
		"$argon2id$v=19$m=4194304,t=2,p=1" + salt, "$argon2id$v=19$m=65536,t=4000,p=1" + salt,
		"$argon2id$v=19$m=65536,t=2,p=200" + salt,
		"$argon2id$v=19$m=0,t=2,p=1" + salt, "$argon2id$v=19$m=65536,t=0,p=1" + salt, "$argon2id$v=19$m=-1,t=2,p=1" + salt,
		"$argon2id$v=19$m=65536,t=2" + salt, "$argon2id$v=19$t=2,m=65536,p=1" + salt,
		"$argon2id$v=19$m=65536,t=2,p=1,x=1" + salt,
		"$argon2id$v=19$m=65536,t=2,p=1$c29$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$!!!", "$argon2id$v=19$m=65536,t=2,p=1" + salt + "$",
		reference + strings.Repeat("A", 300),
	} {
		if _, err := auth.Argon2Password(text); err == nil {
			t.Errorf("taken: %s", text)
		} else if strings.Contains(err.Error(), "CTFh") {
			t.Errorf("the error repeats the hash: %v", err)
		}
	}
}

func TestPasswordsAreNotPrinted(t *testing.T) {
	p := auth.PlainPassword("hush")
	for _, format := range []string{"%v", "%+v", "%s"} {
		if text := fmt.Sprintf(format, auth.UserEntry{Password: p}); strings.Contains(text, "hush") {
			t.Errorf("%s: %s", format, text)
		}
	}
}

// Whether there is such a user must not be seen in how long the refusal takes.
func TestUnknownUsersCostWhatKnownOnesCost(t *testing.T) {
	s := auth.NewStore(auth.NewDirectory(
		&auth.User{Name: "known", Password: hashOf(t, reference)},
		&auth.User{Name: "off", Password: hashOf(t, reference), Deactivated: true},
		&auth.User{Name: "plain", Password: auth.PlainPassword("p")},
	))
	took := make(map[string]time.Duration) // the least
	alike := func() bool {
		for _, d := range took {
			if d < took["known"]/3 || d > took["known"]*3 {
				return false
			}
		}
		return true
	}
	for round := 0; round < 5 || round < 50 && !alike(); round++ { // a busy machine needs more
		for _, user := range []string{"known", "off", "plain", "nobody"} {
			start := time.Now()
			_ = check(s, user, "wrong", "PLAIN")
			if d := time.Since(start); took[user] == 0 || d < took[user] {
				took[user] = d
			}
		}
	}
	if !alike() {
		t.Errorf("a refusal takes %v", took)
	}
}

// A fleet with one password must be back soon after a restart.
func TestARightPasswordIsHashedOnce(t *testing.T) {
	s := auth.NewStore(auth.NewDirectory(
		&auth.User{Name: "u", Password: hashOf(t, reference)},
		&auth.User{Name: "v", Password: hashOf(t, auth.HashPassword("password"))},
	))
	start := time.Now()
	if err := check(s, "u", "password", "PLAIN"); err != nil {
		t.Fatal(err)
	}
	once := time.Since(start)
	start = time.Now()
	for range 1000 {
		if err := check(s, "u", "password", "PLAIN"); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 300*once+time.Second {
		t.Errorf("1000 logins took %v, one %v", took, once)
	}
	for user, password := range map[string]string{"u": "Password", "nobody": "password"} {
		if check(s, user, password, "PLAIN") == nil {
			t.Errorf("%s is let in with %s", user, password)
		}
	}
	if err := check(s, "v", "password", "PLAIN"); err != nil { // the same password, another hash
		t.Error(err)
	}
	s.Swap(auth.NewDirectory(&auth.User{Name: "u", Password: hashOf(t, auth.HashPassword("new"))}))
	if check(s, "u", "password", "PLAIN") == nil {
		t.Error("an old password is let in")
	}
}

func TestLoginsThatWaitForTheirHashEndWithTheirPeer(t *testing.T) {
	s := auth.NewStore(auth.NewDirectory(&auth.User{Name: "u", Password: hashOf(t, reference)}))
	gone := make(chan struct{})
	close(gone)
	refused := 0
	results := make(chan error)
	const logins = 40
	for range logins {
		go func() {
			_, err := s.Check(gone, auth.Attempt{User: "u", Password: "wrong", Type: login.Plain})
			results <- err
		}()
	}
	for range logins {
		if err := <-results; strings.Contains(err.Error(), "the peer has gone") {
			refused++
		}
	}
	if refused == 0 {
		t.Error("all were computed for nobody, at once")
	}
}

func TestWellKnownPasswords(t *testing.T) {
	sha1, _ := auth.SHA1Password("5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8") // password
	own, _ := auth.SHA1Password("f4fbd2d2e1a6fdcb6b0c5ed1fb4f6a5cf7d7b1f3")
	got := auth.WellKnown(auth.Access{Users: map[string]auth.UserEntry{
		"iot":    {Password: auth.PlainPassword("lub42DUB")},
		"admin":  {Password: auth.PlainPassword("admin!123")},
		"eva":    {Password: auth.PlainPassword("eva")},
		"shared": {Password: sha1},
		"good":   {Password: auth.PlainPassword("Oo9haiGh")},
		"hashed": {Password: own},
		"none":   {},
	}})
	if fmt.Sprint(got) != "[admin eva iot shared]" {
		t.Errorf("%v", got)
	}
}
