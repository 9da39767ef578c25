package link

// Cause is why a link ended. The first cause of a link counts. Logs, errors to peers and metrics all
// use its text.
type Cause int

// The causes.
const (
	Open                 Cause = iota // the link has not ended
	PeerClosed                        // the peer closed the connection
	ReadError                         // the connection failed while reading
	WriteError                        // the connection failed while writing
	ProtocolError                     // the peer sent something that is not a message
	FrameTooLong                      // the peer declared a frame above the limit
	TooMuchBegun                      // the unfinished frames of the user take too much memory
	FrameStalled                      // the peer began a frame and did not finish it
	SlowPeer                          // the queue has no space, since the peer is slow
	TooMuchQueued                     // more waits for the user than for others, and too much in all
	WriteStalled                      // the peer took nothing of the queue for too long
	IdleTimeout                       // the peer was silent for longer than agreed
	LoginTimeout                      // the peer did not log in in time
	LoginFailed                       // the peer's login was rejected
	HandshakeFailed                   // the handshake of TLS or of the WebSocket failed
	HandshakeLate                     // too many TLS handshakes ran at once
	TooManyConnections                // the limit of connections was reached
	TooManyLogins                     // the limit of connections without a login was reached
	TooManyFromSource                 // that limit for the peer's address or user was reached
	TunnelEnded                       // the one tunnel that the link served has ended
	Shutdown                          // this program stops
	Done                              // this program no longer needs the link
	UserRemoved                       // the user no longer exists
	UserDeactivated                   // the user was deactivated
	UserExpired                       // the validity of the user has ended
	PasswordChanged                   // the user's password or token has changed
	AddressDenied                     // the user may no longer come from this address
	CertificateExpired                // the client certificate has expired
	CertificateRevoked                // the client certificate was revoked
	CertificateUntrusted              // the client certificate is no longer trusted
	CertificateTaken                  // the client certificate is no longer the user's
	MountDenied                       // the device may no longer be mounted there
	MountLost                         // the mount point belongs to another user's device
	MountTaken                        // too many others took over the device's mount point
	Dropped                           // a caller with the right to disconnected the client
	Bug                               // this program failed on a message

	// Causes is the number of causes.
	Causes = int(Bug) + 1
)

var causeTexts = [...]string{
	Open:                 "open",
	PeerClosed:           "connection closed by the peer",
	ReadError:            "connection lost while reading",
	WriteError:           "connection lost while writing",
	ProtocolError:        "protocol error",
	FrameTooLong:         "frame too long",
	TooMuchBegun:         "too much memory in unfinished messages",
	FrameStalled:         "frame not finished in time",
	SlowPeer:             "peer too slow",
	TooMuchQueued:        "too much waits for the user's connections",
	WriteStalled:         "peer does not read",
	IdleTimeout:          "idle for too long",
	LoginTimeout:         "no login in time",
	LoginFailed:          "login failed",
	HandshakeFailed:      "handshake failed",
	HandshakeLate:        "too many TLS handshakes at once",
	TooManyConnections:   "too many connections",
	TooManyLogins:        "too many connections that have not logged in",
	TooManyFromSource:    "too many connections from the same source that have not logged in",
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
	MountLost:            "mount point lost to another user's device",
	MountTaken:           "mount point taken over too many times",
	Dropped:              "disconnected by an administrator",
	Bug:                  "internal error",
}

// String returns the cause in words.
func (c Cause) String() string {
	if c < 0 || int(c) >= len(causeTexts) {
		return "unknown"
	}
	return causeTexts[c]
}
