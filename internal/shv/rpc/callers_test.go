package rpc

import (
	"slices"
	"testing"

	"shvtools/internal/shv/chainpack"
)

// The Python broker counts its clients from 0, so caller 0 is a real caller.
func TestCallerZeroIsNotNone(t *testing.T) {
	for _, ids := range []CallerIDs{{0}, {0, 0}, {0, 5}, {5, 0}} {
		message := AppendResult(nil, Address{ID: 3, Callers: ids}, chainpack.Null())
		var m Message
		if err := m.Parse(message); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.Callers(), ids) {
			t.Errorf("%v came as %v", ids, m.Callers())
		}
		if again, ok := callerIDsFromValue(ids.Value()); !ok || !slices.Equal(again, ids) {
			t.Errorf("%v was read as %v", ids, again)
		}
		if string(ids.AppendKey(nil)) == string(ids[:len(ids)-1].AppendKey(nil)) {
			t.Errorf("%v has the key of a shorter stack", ids)
		}
		top := ids[len(ids)-1]
		if id, ok := m.PopCaller(); !ok || id != top {
			t.Errorf("popped %d, %v of %v", id, ok, ids)
		}
		m.PushCaller(0)
		var next Message
		if err := next.Parse(append(m.AppendMeta(nil), m.Body()...)); err != nil || next.Callers()[len(ids)-1] != 0 {
			t.Errorf("pushed 0 on %v: %v, %v", ids, next.Callers(), err)
		}
		ctl := TunnelCtlFromValue(TunnelCtl{State: FindTunnelResponse, CallerIDs: ids}.Value())
		if !slices.Equal(ctl.CallerIDs, ids) {
			t.Errorf("%v in a TunnelCtl came as %v", ids, ctl.CallerIDs)
		}
	}
}
