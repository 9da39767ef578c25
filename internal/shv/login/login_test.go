package login_test

import (
	"testing"

	"shvtools/internal/shv/login"
)

// The hashes are those of a recorded session of C++ programs (spec.md 5.2).
func TestHashesOfTheSeed(t *testing.T) {
	for _, test := range []struct{ nonce, password, want string }{
		{"1437608631", "lub42DUB", "73f422e5fb395a0ad8af042402e835b73d9218a7"},
		{"1336980497", "lub42DUB", "d622fa9568f5dda56ea22bd25526b4c7b778e13d"},
		{"1524437174", "", "6299fa3137d1615cbc93a7de35edd3b6de0bfaea"},
	} {
		if got := login.Hash(test.nonce, test.password); got != test.want {
			t.Errorf("%s, %q: %s, want %s", test.nonce, test.password, got, test.want)
		}
	}
}
