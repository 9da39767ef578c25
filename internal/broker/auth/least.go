package auth

import (
	"strings"

	"shvtools/internal/shv/rpc"
)

// Least returns the lowest level that the rules give for anything at or below a clean path. It bounds
// what a name there may give that does not tell which place it means.
func (u *User) Least(path string) rpc.Access {
	least := rpc.AccessSuper
	for _, rule := range u.Rules {
		if rule.RI.OfSignals() {
			continue
		}
		for _, below := range rule.RI.Below(path) {
			least = min(least, rule.Level)
			if below.Path().String() == "**" && strings.Trim(below.Method(), "*") == "" {
				return least // all else is for the rules before it
			}
		}
	}
	return rpc.AccessNone
}
