package rpc_test

import (
	"bytes"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// to returns an Address.
func to(id int64, callers ...int64) rpc.Address { return rpc.Address{ID: id, Callers: callers} }

// The frames of spec.md 3.9, without length and protocol byte.
func TestTypicalMessagesHaveTheBytesOfTheStandard(t *testing.T) {
	null := chainpack.Null()
	str := chainpack.String
	find := &rpc.TunnelCtl{State: rpc.FindTunnelRequest}
	end := &rpc.TunnelCtl{State: rpc.CloseTunnel}
	for _, test := range []struct {
		name string
		got  []byte
		want string
	}{
		{"hello", rpc.AppendRequest(nil, 1, "", "hello", null),
			"8b 41 41 48 41 4a 86 05 68 65 6c 6c 6f ff 8a ff"},
		{"nonce", rpc.AppendResult(nil, to(1), chainpack.Map(chainpack.F("nonce", str("1437608631")))),
			"8b 41 41 48 41 ff 8a 42 89 86 05 6e 6f 6e 63 65 86 0a 31 34 33 37 36 30 38 36 33 31 ff ff"},
		{"client id", rpc.AppendResult(nil, to(2), chainpack.Map(chainpack.F("clientId", chainpack.Int(1)))),
			"8b 41 41 48 42 ff 8a 42 89 86 08 63 6c 69 65 6e 74 49 64 41 ff ff"},
		{"Null result", rpc.AppendResult(nil, to(2), null),
			"8b 41 41 48 42 ff 8a 42 80 ff"},
		{"empty response", rpc.AppendTunnel(nil, to(2), rpc.Meta{}, 0, null),
			"8b 41 41 48 42 ff 8a ff"},
		{".app:ping", rpc.AppendRequest(nil, 3, ".app", "ping", null),
			"8b 41 41 48 43 49 86 04 2e 61 70 70 4a 86 04 70 69 6e 67 ff 8a ff"},
		{".broker/app:ping", rpc.AppendRequest(nil, 3, ".broker/app", "ping", null),
			"8b 41 41 48 43 49 86 0b 2e 62 72 6f 6b 65 72 2f 61 70 70 4a 86 04 70 69 6e 67 ff 8a ff"},
		{"true", rpc.AppendResult(nil, to(3), chainpack.Bool(true)),
			"8b 41 41 48 43 ff 8a 42 fe ff"},
		{"error", rpc.AppendError(nil, to(3), rpc.Errorf(rpc.CodeException, "no")),
			"8b 41 41 48 43 ff 8a 43 8a 41 48 42 86 02 6e 6f ff ff"},
		{"delay", rpc.AppendTunnel(nil, to(3), rpc.Meta{}, rpc.KeyDelay, chainpack.Double(0.5)),
			"8b 41 41 48 43 ff 8a 44 83 00 00 00 00 00 00 e0 3f ff"},
		{"signal", rpc.AppendSignal(nil, "test/a", "chng", "get", rpc.AccessNone, chainpack.Bool(true)),
			"8b 41 41 49 86 06 74 65 73 74 2f 61 4a 86 04 63 68 6e 67 53 86 03 67 65 74 ff 8a 41 fe ff"},
		{"signal with a level", rpc.AppendSignal(nil, "a", "lsmod", "ls", rpc.AccessBrowse, chainpack.Null()),
			"8b 41 41 49 86 01 61 4a 86 05 6c 73 6d 6f 64 51 41 53 86 02 6c 73 ff 8a 41 80 ff"},
		{"FindTunnelRequest", rpc.AppendTunnel(nil, to(3, 2), rpc.Meta{WantRevCallers: true, Tunnel: find}, 0, null),
			"8b 41 41 48 43 4b 42 4d 80 4f 8b 41 43 ff 8a 41 41 ff ff 8a ff"},
		{"data", rpc.AppendResult(nil, to(3, 2), chainpack.List(chainpack.Int(1), str("ls\r\n"))),
			"8b 41 41 48 43 4b 42 ff 8a 42 88 41 86 04 6c 73 0d 0a ff ff"},
		{"CloseTunnel", rpc.AppendTunnel(nil, to(3, 3), rpc.Meta{Tunnel: end}, rpc.KeyResult, null),
			"8b 41 41 48 43 4b 43 4f 8b 41 43 ff 8a 41 45 ff ff 8a 42 80 ff"},
		{"param", rpc.AppendRequest(nil, 5, "foo/bar", "baz", str("hello")),
			"8b 41 41 48 45 49 86 07 66 6f 6f 2f 62 61 72 4a 86 03 62 61 7a ff 8a 41 86 05 68 65 6c 6c 6f ff"},
	} {
		if want := unhex(t, test.want); !bytes.Equal(test.got, want) {
			t.Errorf("%s\n got % x\nwant % x", test.name, test.got, want)
		}
	}
}

// This is the only head of spec.md 3.9 that only brokers write.
func TestStacksPushedOnTheWayHaveTheBytesOfTheStandard(t *testing.T) {
	m := parse(t, `<1:1,8:3,11:4,13:null>i{}`)
	m.PushCaller(2)
	m.PushRevCaller(1)
	m.PushRevCaller(5)
	want := unhex(t, "8b 41 41 48 43 4b 88 44 42 ff 4d 88 41 45 ff ff")
	if got := m.AppendMeta(nil); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestAppendLeavesWhatIsThereAlone(t *testing.T) {
	got := rpc.AppendRequest([]byte("before"), 1, "", "hello", chainpack.Null())
	want := append([]byte("before"), rpc.AppendRequest(nil, 1, "", "hello", chainpack.Null())...)
	if !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestSignalOfTheDefaultSourceNamesNone(t *testing.T) {
	got := decoded(t, rpc.AppendSignal(nil, "a", "chng", "", rpc.AccessNone, chainpack.Null()))
	if want := `<1:1,9:"a",10:"chng">i{1:null}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
