package auth

import (
	"net/netip"
	"slices"
	"time"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// User is a user with all rights of the roles. It does not change and may be used
// concurrently; a changed configuration makes another one.
type User struct {
	Name     string
	Password Password
	Roles    []string          // the named ones first, then those that they include
	Rules    []Rule            // of all roles; the first that matches decides
	Mounts   []shvpath.Pattern // with variables, see Claim
	// ByDeviceID: a device of the user may be mounted where its id says.
	ByDeviceID bool
	// MountInside: one may be mounted inside the device of another user.
	MountInside bool

	// Share is how many times the even part of another user theirs is, at least 1
	// (design.md 15).
	Share int

	Deactivated bool
	Expires     time.Time // zero: never
	// Networks are lists of which each must have the address that the user comes
	// from.
	Networks [][]netip.Prefix
}

// ownNode is the node that every user may call, as in the C++ broker: it is about the
// caller's own connection (spec.md 7.6).
const ownNode = ".broker/currentClient"

// ownLevel is what every user may do there.
const ownLevel = rpc.AccessWrite

// Level returns the level that the rules grant for a method at a clean path, AccessNone
// if none matches. It does not allocate.
func (u *User) Level(path, method []byte) rpc.Access {
	for i := range u.Rules {
		if u.Rules[i].RI.MatchMethod(path, method) {
			return u.Rules[i].Level
		}
	}
	if string(path) == ownNode {
		return ownLevel
	}
	return rpc.AccessNone
}

// BrokerRoles are the roles whose users may log in as child brokers, as the other brokers call
// them.
var BrokerRoles = []string{"broker", "child-broker", "masterBroker"}

// MayBeBroker reports whether the user, nil for none, may log in as a child broker.
func (u *User) MayBeBroker() bool {
	return u != nil && slices.ContainsFunc(BrokerRoles, func(role string) bool { return slices.Contains(u.Roles, role) })
}

// Loss is why a login that was accepted is no longer valid.
type Loss int

// The losses.
const (
	Kept             Loss = iota
	Removed               // the user does not exist any more
	Deactivated           // the user is deactivated
	Expired               // the user has expired
	PasswordChanged       // the password or token has changed
	AddressDenied         // the user may not connect from that address any more
	CertificateTaken      // the certificate does not belong to the user any more
)

var lossTexts = [...]string{
	Kept:             "nothing is lost",
	Removed:          "the user was removed",
	Deactivated:      "the user is deactivated",
	Expired:          "the user has expired",
	PasswordChanged:  "the password was changed",
	AddressDenied:    "the user may not come from this address",
	CertificateTaken: "the certificate is not that of the user any more",
}

// String describes the loss for people.
func (l Loss) String() string {
	if l < 0 || int(l) >= len(lossTexts) {
		return "unknown"
	}
	return lossTexts[l]
}

// barred returns why the user may not log in now, Kept if they may.
func (u *User) barred(from netip.Addr, now time.Time) Loss {
	if loss := u.ended(now); loss != Kept {
		return loss
	}
	if !u.admits(from) {
		return AddressDenied
	}
	return Kept
}

// ended is barred wherever they come from.
func (u *User) ended(now time.Time) Loss {
	switch {
	case u.Deactivated:
		return Deactivated
	case !u.Expires.IsZero() && !now.Before(u.Expires):
		return Expired
	}
	return Kept
}

// admits checks the address of a peer. A peer without an IP address, such as one on a
// Unix socket, is on this machine.
func (u *User) admits(from netip.Addr) bool {
	addresses := []netip.Addr{from.Unmap().WithZone("")} // no network has a zone
	if !from.IsValid() {
		addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	for _, list := range u.Networks {
		if !slices.ContainsFunc(list, func(p netip.Prefix) bool { return slices.ContainsFunc(addresses, p.Contains) }) {
			return false
		}
	}
	return true
}
