package rpc

import (
	"slices"

	"shvtools/internal/shv/chainpack"
)

// TunnelState is the state of a tunnel in a TunnelCtl (spec.md 3.5).
type TunnelState int64

// The states of a tunnel, in their order.
const (
	NoTunnel             TunnelState = 0
	FindTunnelRequest    TunnelState = 1 // agent to brokers
	FindTunnelResponse   TunnelState = 2 // broker to agent
	CreateTunnelRequest  TunnelState = 3 // helper to client
	CreateTunnelResponse TunnelState = 4 // client to helper
	CloseTunnel          TunnelState = 5 // either end, or a broker for a lost one
)

// Keys of TunnelCtl: 1 to 6 as all peers know them (spec.md 3.5), 7 to 9 as these programs add them (protocol.md 7).
const (
	keyState     = 1 // TunnelState
	keyHost      = 2
	keyPort      = 3
	keySecret    = 4
	keyRequestID = 5
	keyCallerIDs = 6
	keyOffer     = 7 // [URL, Secret]: where else the tunnel may be made
	keySchemes   = 8 // List of the URL schemes that an agent accepts there
	keyVouches   = 9 // how many brokers on the way promise to report the loss of an end
)

// TunnelCtl is the value of tag 15. Int keys above 6 stay in Extra, in their order. A copy shares
// Extra, which the methods replace but do not write to.
type TunnelCtl struct {
	State     TunnelState
	Host      string
	Port      int64
	Secret    string // 40 hex digits; never log it
	RequestID int64
	CallerIDs CallerIDs
	Extra     []chainpack.Entry
}

// TunnelCtlFromValue reads a TunnelCtl. What is absent or has a wrong type stays zero, so an
// unreadable State is NoTunnel.
func TunnelCtlFromValue(v chainpack.Value) TunnelCtl {
	var t TunnelCtl
	for _, e := range v.Entries() {
		if !e.Key.IsInt() {
			continue // of a Map, which no peer sends
		}
		switch e.Key.Int() {
		case keyState:
			n, _ := e.Value.AsInt()
			t.State = TunnelState(n)
		case keyHost:
			t.Host, _ = e.Value.AsString()
		case keyPort:
			t.Port, _ = e.Value.AsInt()
		case keySecret:
			t.Secret, _ = e.Value.AsString()
		case keyRequestID:
			t.RequestID, _ = e.Value.AsInt()
		case keyCallerIDs:
			t.CallerIDs, _ = callerIDsFromValue(e.Value)
		default:
			t.Extra = append(t.Extra, e)
		}
	}
	return t
}

// Value returns the wire form. States 2 and 3 always carry host, port and secret, as every peer
// expects; otherwise empty keys are left out.
func (t TunnelCtl) Value() chainpack.Value {
	entries := []chainpack.Entry{chainpack.N(keyState, chainpack.Int(int64(t.State)))}
	addressed := t.State == FindTunnelResponse || t.State == CreateTunnelRequest
	if t.Host != "" || addressed {
		entries = append(entries, chainpack.N(keyHost, chainpack.String(t.Host)))
	}
	if t.Port != 0 || addressed {
		entries = append(entries, chainpack.N(keyPort, chainpack.Int(t.Port)))
	}
	if t.Secret != "" || addressed {
		entries = append(entries, chainpack.N(keySecret, chainpack.String(t.Secret)))
	}
	if t.RequestID != 0 {
		entries = append(entries, chainpack.N(keyRequestID, chainpack.Int(t.RequestID)))
	}
	if len(t.CallerIDs) > 0 {
		entries = append(entries, chainpack.N(keyCallerIDs, t.CallerIDs.Value()))
	}
	entries = append(entries, t.Extra...)
	return chainpack.IMap(entries...).WithMeta(chainpack.N(TagMetaType, chainpack.Int(TypeTunnelCtl)))
}

// Schemes returns the URL schemes that an agent accepts in an offer, in order of preference.
func (t TunnelCtl) Schemes() (schemes []string) {
	for _, item := range t.extra(keySchemes).Items() {
		if scheme, ok := item.AsString(); ok {
			schemes = append(schemes, scheme)
		}
	}
	return schemes
}

// Accept sets the URL schemes that are accepted in an offer, in order of preference.
func (t *TunnelCtl) Accept(schemes ...string) {
	list := make([]chainpack.Value, len(schemes))
	for i, scheme := range schemes {
		list[i] = chainpack.String(scheme)
	}
	t.setExtra(keySchemes, chainpack.List(list...))
}

// Offered returns the URL of an offer. It is "" if there is none, or if its secret is not Secret:
// then a broker on the way that knows no offers has replaced the address of another one by its own.
func (t TunnelCtl) Offered() string {
	offer := t.extra(keyOffer)
	if secret, _ := offer.At(1).AsString(); secret == "" || secret != t.Secret {
		return ""
	}
	url, _ := offer.At(0).AsString()
	return url
}

// Offer adds a URL for helpers, with Secret.
func (t *TunnelCtl) Offer(url string) {
	t.setExtra(keyOffer, chainpack.List(chainpack.String(url), chainpack.String(t.Secret)))
}

// Withdraw removes an offer, so that host and port count.
func (t *TunnelCtl) Withdraw() { t.dropExtra(keyOffer) }

// Forget removes what is secret, once it has served its purpose.
func (t *TunnelCtl) Forget() {
	t.Secret = ""
	t.Withdraw()
}

// Vouchers returns how many brokers on the way have promised to report the loss of an end of the
// tunnel.
func (t TunnelCtl) Vouchers() int64 {
	n, _ := t.extra(keyVouches).AsInt()
	return n
}

// Vouch sets how many brokers promise that; 0 removes the promise.
func (t *TunnelCtl) Vouch(brokers int64) {
	if brokers == 0 {
		t.dropExtra(keyVouches)
		return
	}
	t.setExtra(keyVouches, chainpack.Int(brokers))
}

func (t *TunnelCtl) dropExtra(key int64) {
	t.Extra = slices.DeleteFunc(slices.Clone(t.Extra), func(e chainpack.Entry) bool {
		return e.Key == chainpack.IntKey(key)
	})
}

func (t TunnelCtl) extra(key int64) chainpack.Value {
	for _, e := range t.Extra {
		if e.Key == chainpack.IntKey(key) {
			return e.Value
		}
	}
	return chainpack.Value{}
}

func (t *TunnelCtl) setExtra(key int64, v chainpack.Value) {
	for i, e := range t.Extra {
		if e.Key == chainpack.IntKey(key) {
			t.Extra = slices.Clone(t.Extra)
			t.Extra[i].Value = v
			return
		}
	}
	t.Extra = append(slices.Clip(t.Extra), chainpack.N(key, v))
}
