package replay

import (
	"slices"
	"time"

	"shvtools/internal/shv/chainpack"
)

// The rules that make our broker differ from the C++ broker in single messages. Each
// deviation names one.
const (
	loginLate = "spec.md 5.5: the answer to a refused login, and to the login after it, is delayed, each time longer; " +
		"it names neither the fault nor the peer's address"
	loginRetry   = "spec.md 5.5: the connection stays open for a few more logins"
	loginNoHello = "spec.md 5.5: a login without hello is answered"
	loginFirst   = "spec.md 5.5: a request before the login is answered with error 10, the connection stays open"
	helloAgain   = "spec.md 5.3: hello may be repeated and gives the same nonce"
	notARequest  = "spec.md 5.5: before the login, all but requests is dropped; the login deadline ends the connection"
	noCpon       = "spec.md 4.1: CPON is optional"

	secretOnce = "design.md 6, Secrets: one use"
	secretLate = "design.md 6, Secrets: a secret that is not redeemed within 10 s ends in an error to the caller"
	tunnelLost = "design.md 6, The broker's part: when a link is lost, the other side gets State 5 with an error"
	lingers    = "design.md 6, The broker's part: the helper's link is closed 1 s after its tunnel"

	noSuchNode   = "spec.md 7.9: nodes of the C++ broker that are not served"
	rightsOfIot  = "design.md 9: iot has rd on .broker/**"
	nodesOfV3    = "spec.md 7.9: nodes and methods of the standard"
	idsOfClients = "protocol.md 10: who is connected is for administrators to list"
	dirForm      = "spec.md 7.10: dir has the keys 1 to 6, with the type names of the standard"

	accessText   = "spec.md 7.1b, step 3: the text without its typing error"
	cleanPath    = "spec.md 3.10: the path is normalised before the access rules are asked"
	oneCaller    = "spec.md 3.4: one caller id is written as an Int"
	userIDOfPeer = "spec.md 3.8: an empty Map in tag 16 stays as it is"
	orderOfKeys  = "spec.md 1.7: keys may stand in any order; those that came keep theirs"
	largeID      = "spec.md 3.1: a request id that C++ cannot hold is answered too"
)

// denied is the answer to a call above the level of iot.
const denied = `<1:1,8:3>i{3:i{1:8,2:"*"}}`

// penalty is the delay of the answer to the first refused login.
const penalty = time.Second

// everywhere returns a recorded message to a client with the differences that each such
// message of our broker has.
func everywhere(v chainpack.Value) chainpack.Value {
	meta := v.Meta()
	if name, ok := tag(v, 14); ok {
		// design.md 9: iot has su on test/**; the C++ set-up granted cmd.
		if text, _ := name.AsString(); text == "cmd" {
			meta = replaced(meta, chainpack.IntKey(14), always(chainpack.String("su")))
			meta = replaced(meta, chainpack.IntKey(17), always(chainpack.Int(63)))
		}
		// spec.md 3.8: tag 16 is not added for a caller that did not send one.
		meta = without(meta, chainpack.IntKey(16))
	}
	if state, _ := control(v, 1).AsInt(); state == 3 {
		// design.md 6, Secrets: the broker empties it, since no client needs it.
		meta = replaced(meta, chainpack.IntKey(15), emptySecret)
	}
	return v.WithMeta(meta...)
}

// toHelper returns a recorded message to a helper with what our broker adds to it.
func toHelper(v chainpack.Value) chainpack.Value {
	// protocol.md 5, Vouching: the result of a tunnel login vouches for the other link.
	result := at(v, 2)
	if at(v, 2, "clientId").IsNull() {
		return v
	}
	vouches := chainpack.F("ext", chainpack.Map(chainpack.F("vouches", chainpack.Bool(true))))
	entries := replaced(v.Entries(), chainpack.IntKey(2), func(chainpack.Value) chainpack.Value {
		return chainpack.Map(append(slices.Clone(result.Entries()), vouches)...)
	})
	return chainpack.IMap(entries...).WithMeta(v.Meta()...)
}

func emptySecret(ctl chainpack.Value) chainpack.Value {
	entries := replaced(ctl.Entries(), chainpack.IntKey(4), always(chainpack.String("")))
	return chainpack.IMap(entries...).WithMeta(ctl.Meta()...)
}
