package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
)

// PlaintextError is the error of a connection that would leave this machine without encryption,
// where everyone on the path could be the broker, and that nobody has allowed.
type PlaintextError struct {
	URL  URL
	Addr netip.Addr // that would have been dialled
}

// Error says what is wrong and what is safe. How to allow it depends on the program.
func (e *PlaintextError) Error() string {
	return fmt.Sprintf("%s is not encrypted, and %s is not on this machine: everyone on the path could read along "+
		"and answer for the broker; use ssl or wss", e.URL.Scheme, e.Addr)
}

// isJudged reports whether Dial must stay on this machine.
func (u URL) isJudged() bool {
	return !u.IsEncrypted() && u.Scheme != Unix && !u.AllowPlaintext && !u.Unjudged
}

// MayLeave reports whether a connection to u is not encrypted and may leave this machine. A name
// other than localhost may: it leads to another address tomorrow.
func (u URL) MayLeave() bool { return !u.IsEncrypted() && !u.IsLocal() }

// CheckPlaintext returns the *PlaintextError of a URL that Dial refuses whatever its name is looked
// up to, which is one with an address.
func CheckPlaintext(u URL) error {
	addr, err := netip.ParseAddr(u.Host)
	if !u.isJudged() || err != nil || addr.Unmap().IsLoopback() {
		return nil
	}
	return &PlaintextError{u, addr}
}

// dialLoopback connects to the addresses of u that are on this machine, and to no other. Each
// address is dialled as it was looked up, so that a second look-up cannot lead elsewhere.
func dialLoopback(ctx context.Context, d *net.Dialer, u URL) (net.Conn, error) {
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Host)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, addr := range all {
		if addr = addr.Unmap(); !addr.IsLoopback() {
			continue
		}
		conn, err := d.DialContext(ctx, TCP, net.JoinHostPort(addr.String(), u.Port))
		if err == nil {
			return conn, nil
		}
		if failed == nil {
			failed = err
		}
	}
	switch {
	case failed != nil:
		return nil, failed
	case len(all) == 0:
		return nil, &net.DNSError{Err: "no address", Name: u.Host, IsNotFound: true}
	}
	return nil, &PlaintextError{u, all[0].Unmap()}
}

// dialUnix connects to a socket and checks who listens there before anything is written.
func dialUnix(ctx context.Context, u URL) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, Unix, u.Path)
	if err != nil || u.Unjudged {
		return conn, err
	}
	uid := -1
	if socket, ok := conn.(*net.UnixConn); ok {
		uid = uidOf(socket)
	}
	if err := u.checkOwner(uid); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkOwner returns an error if the user with uid must not be the broker. Whoever may remove the
// file of a socket can listen there instead.
func (u URL) checkOwner(uid int) error {
	switch uid {
	case -1:
		return errors.New("cannot tell which user listens there")
	case 0, os.Geteuid():
		return nil
	}
	allowed := "root"
	if own := os.Geteuid(); own != 0 {
		allowed += " or uid " + strconv.Itoa(own)
	}
	if u.Owner != "" {
		owner, err := uidOfOwner(u.Owner)
		switch {
		case err != nil:
			return err
		case owner == uid:
			return nil
		}
		allowed += " or " + u.Owner
	}
	return fmt.Errorf("uid %d listens there (want %s); if another user runs the broker, name it by owner=USER in the URL",
		uid, allowed)
}

// uidOfOwner returns the uid of a user, who is given by name or number.
func uidOfOwner(name string) (int, error) {
	id := name
	if _, err := strconv.ParseUint(name, 10, 31); err != nil {
		account, err := user.Lookup(name)
		if err != nil {
			return -1, fmt.Errorf("option owner: there is no user %q on this machine", name)
		}
		id = account.Uid
	}
	uid, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return -1, fmt.Errorf("option owner: user %q has no number", name)
	}
	return int(uid), nil
}
