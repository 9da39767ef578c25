package link

// Cause is why a link ended. The first cause of a link wins; logs, errors
// towards peers and statistics all use these words.
type Cause int

// The causes.
const (
	Open                 Cause = iota // not ended
	PeerClosed                        // the peer closed the connection
	ReadError                         // the connection failed while reading
	WriteError                        // the connection failed while writing
	ProtocolError                     // the peer sent what is no message
	FrameTooLong                      // the peer declared a frame above the limit
	FrameStalled                      // the peer began a frame and did not go on
	SlowPeer                          // the peer did not take what is queued for it, and there is no room for more
	WriteStalled                      // the peer took nothing of what is queued for it for too long
	IdleTimeout                       // the peer was silent for longer than agreed
	LoginTimeout                      // the peer did not log in in time
	LoginFailed                       // the peer's login was refused
	HandshakeFailed                   // the peer's handshake failed: of TLS, or of a WebSocket
	HandshakeLate                     // too many TLS handshakes were under way
	TooManyConnections                // a bound on connections in all was reached
	TooManyLogins                     // a bound on connections before their login was reached
	TooManyFromSource                 // the same bound for the peer's address or user
	TunnelEnded                       // the one tunnel that the link served is over
	Shutdown                          // this program stops
	Done                              // this program is done with the link
	UserRemoved                       // there is no such user any more
	UserDeactivated                   // the user was deactivated
	UserExpired                       // the user's time is over
	PasswordChanged                   // the user's password or token is another one now
	AddressDenied                     // the user may not come from there any more
	CertificateExpired                // the client certificate is at its end
	CertificateRevoked                // the client certificate was revoked
	CertificateUntrusted              // the client certificate is not trusted any more
	CertificateTaken                  // the client certificate is not the user's any more
	MountDenied                       // the device may not be mounted there any more
	MountTaken                        // too many others have taken the device's mount point since
	Dropped                           // somebody with the right to disconnected the client
	Bug                               // this program failed on a message

	// Causes is how many there are.
	Causes = int(Bug) + 1
)

var causeTexts = [...]string{
	Open:                 "open",
	PeerClosed:           "connection closed by the other side",
	ReadError:            "connection lost while reading",
	WriteError:           "connection lost while writing",
	ProtocolError:        "protocol error",
	FrameTooLong:         "frame too long",
	FrameStalled:         "frame begun and never finished",
	SlowPeer:             "peer too slow",
	WriteStalled:         "peer does not read",
	IdleTimeout:          "idle for too long",
	LoginTimeout:         "no login in time",
	LoginFailed:          "login failed",
	HandshakeFailed:      "handshake failed",
	HandshakeLate:        "too many TLS handshakes at once",
	TooManyConnections:   "too many connections",
	TooManyLogins:        "too many connections that have not logged in",
	TooManyFromSource:    "too many connections from there that have not logged in",
	TunnelEnded:          "tunnel ended",
	Shutdown:             "shutting down",
	Done:                 "done",
	UserRemoved:          "user removed",
	UserDeactivated:      "user deactivated",
	UserExpired:          "user expired",
	PasswordChanged:      "password changed",
	AddressDenied:        "address not allowed any more",
	CertificateExpired:   "certificate expired",
	CertificateRevoked:   "certificate revoked",
	CertificateUntrusted: "certificate not trusted any more",
	CertificateTaken:     "certificate not the user's any more",
	MountDenied:          "mount point not allowed any more",
	MountTaken:           "mount point taken by many others since",
	Dropped:              "disconnected by an administrator",
	Bug:                  "internal error",
}

// String is the cause in words for people.
func (c Cause) String() string {
	if c < 0 || int(c) >= len(causeTexts) {
		return "unknown"
	}
	return causeTexts[c]
}
