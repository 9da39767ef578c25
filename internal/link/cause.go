package link

// Cause is why a link ended. The first cause of a link wins; logs, errors
// towards peers and statistics all use these words.
type Cause int

// The causes.
const (
	Open            Cause = iota // not ended
	PeerClosed                   // the peer closed the connection
	ReadError                    // the connection failed while reading
	WriteError                   // the connection failed while writing
	ProtocolError                // the peer sent what is no message
	FrameTooLong                 // the peer declared a frame above the limit
	SlowPeer                     // the peer did not take what is queued for it
	IdleTimeout                  // the peer was silent for longer than agreed
	LoginTimeout                 // the peer did not log in in time
	LoginFailed                  // the peer's login was refused
	TunnelEnded                  // the one tunnel that the link served is over
	Shutdown                     // this program stops
	Done                         // this program is done with the link
	UserRemoved                  // there is no such user any more
	UserDeactivated              // the user was deactivated
	UserExpired                  // the user's time is over
	PasswordChanged              // the user's password or token is another one now
	AddressDenied                // the user may not come from there any more
	MountDenied                  // the device may not be mounted there any more
	Dropped                      // somebody with the right to disconnected the client
	Bug                          // this program failed on a message
)

var causeTexts = [...]string{
	Open:          "open",
	PeerClosed:    "connection closed by the other side",
	ReadError:     "connection lost while reading",
	WriteError:    "connection lost while writing",
	ProtocolError: "protocol error",
	FrameTooLong:  "frame too long",
	SlowPeer:      "peer too slow",
	IdleTimeout:   "idle for too long",
	LoginTimeout:  "no login in time",
	LoginFailed:   "login failed",
	TunnelEnded:   "tunnel ended",
	Shutdown:      "shutting down",
	Done:          "done",
	Bug:           "internal error",

	UserRemoved:     "user removed",
	UserDeactivated: "user deactivated",
	UserExpired:     "user expired",
	PasswordChanged: "password changed",
	AddressDenied:   "address not allowed any more",
	MountDenied:     "mount point not allowed any more",
	Dropped:         "disconnected by an administrator",
}

// String is the cause in words for people.
func (c Cause) String() string {
	if c < 0 || int(c) >= len(causeTexts) {
		return "unknown"
	}
	return causeTexts[c]
}
