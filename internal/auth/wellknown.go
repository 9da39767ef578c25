package auth

import "slices"

// wellKnown are passwords that stand in manuals, samples and sources of SHV
// programs, and those that everybody tries first.
var wellKnown = []string{
	DevelopmentPassword, "admin", "admin!123", "broker", "user", "test", "tester", "viewer", "child-broker",
	"guest", "iot", "shv", "root", "password", "secret", "changeme", "12345678", "123456", "1234",
}

// WellKnown lists the users whose password everybody knows, or is their name.
// What is behind an argon2id hash it does not see.
func WellKnown(a Access) (users []string) {
	hashed := make(map[string]bool, len(wellKnown))
	for _, text := range wellKnown {
		hashed[hexSHA1(text)] = true
	}
	for _, name := range sorted(a.Users) {
		switch p := a.Users[name].Password; p.form {
		case FormPlain:
			if p.text == name || slices.Contains(wellKnown, p.text) {
				users = append(users, name)
			}
		case FormSHA1:
			if p.text == hexSHA1(name) || hashed[p.text] {
				users = append(users, name)
			}
		}
	}
	return users
}
