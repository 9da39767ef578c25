package chainpack_test

import (
	"bytes"
	"math"
	"testing"
	"time"
	"unsafe"

	"shvtools/internal/shv/chainpack"
)

func TestValueStaysSmall(t *testing.T) {
	if n := unsafe.Sizeof(chainpack.Value{}); n > 40 && math.MaxUint == math.MaxUint64 {
		t.Errorf("a Value has %d bytes", n)
	}
}

func TestNumbersSurviveAtTheirEdges(t *testing.T) {
	var values []chainpack.Value
	for shift := range 64 {
		for d := -1; d <= 1; d++ {
			u := uint64(1)<<shift + uint64(d)
			values = append(values, chainpack.UInt(u), chainpack.Int(int64(u)), chainpack.Int(-int64(u)),
				chainpack.Decimal(int64(u), int32(u)), chainpack.Decimal(-int64(u), -int32(u)),
				chainpack.DateTime(int64(u), shift), chainpack.DateTime(-int64(u), -shift),
				chainpack.DateTime(int64(u)/1000*1000, 0), chainpack.Double(math.Float64frombits(u)))
			b := chainpack.AppendUIntData(nil, u)
			if got, n, err := chainpack.UIntData(b); got != u || n != len(b) || n != chainpack.UIntDataLen(u) || err != nil {
				t.Errorf("UIntData(% x) = %d, %d, %v, want %d", b, got, n, err, u)
			}
		}
	}
	for _, v := range values {
		b := chainpack.Append(nil, v)
		got, n, err := chainpack.Decode(b, noLimits)
		if err != nil || n != len(b) || !got.Equal(v) {
			t.Errorf("% x: got %+v, want %+v, %v", b, got, v, err)
		}
	}
}

func TestUIntDataLengthsAtFormBorders(t *testing.T) {
	for _, tt := range []struct {
		u uint64
		n int
	}{
		{0, 1}, {127, 1}, {128, 2}, {16383, 2}, {16384, 3}, {2097151, 3}, {2097152, 4}, {268435455, 4},
		{268435456, 5}, {1<<32 - 1, 5}, {1 << 32, 6}, {1<<40 - 1, 6}, {1 << 40, 7}, {1 << 56, 9}, {math.MaxUint64, 9},
	} {
		if n := chainpack.UIntDataLen(tt.u); n != tt.n {
			t.Errorf("UIntDataLen(%d) = %d, want %d", tt.u, n, tt.n)
		}
	}
}

func TestPrimitivesAgreeWithAppend(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  []byte
		v    chainpack.Value
	}{
		{"Int", chainpack.AppendInt(nil, 64), chainpack.Int(64)},
		{"String", chainpack.AppendString(nil, "ab"), chainpack.String("ab")},
		{"String in two parts", append(chainpack.AppendStringHeader(nil, 2), "ab"...), chainpack.String("ab")},
	} {
		if want := chainpack.Append(nil, tt.v); !bytes.Equal(tt.got, want) {
			t.Errorf("%s: % x, want % x", tt.name, tt.got, want)
		}
	}
}

func TestAccessorsRefuseOtherKinds(t *testing.T) {
	all := []chainpack.Value{
		chainpack.Null(), chainpack.Bool(true), chainpack.Int(-1), chainpack.UInt(math.MaxUint64),
		chainpack.Double(1), chainpack.Decimal(1, 1), chainpack.Blob([]byte("b")), chainpack.String("s"),
		chainpack.DateTime(0, 0), chainpack.List(chainpack.Int(1)), chainpack.Map(chainpack.F("a", chainpack.Int(1))),
		chainpack.IMap(chainpack.N(1, chainpack.Int(1))),
	}
	for i, v := range all {
		if int(v.Kind()) != i {
			t.Errorf("kind %v at %d", v.Kind(), i)
		}
		_, isBool := v.AsBool()
		_, isInt := v.AsInt()
		_, isUInt := v.AsUInt()
		_, isDouble := v.AsDouble()
		_, _, isDecimal := v.AsDecimal()
		_, isBlob := v.AsBlob()
		_, isString := v.AsString()
		_, _, isDateTime := v.AsDateTime()
		_, isTime := v.AsTime()
		for kind, is := range map[chainpack.Kind]bool{
			chainpack.KindNull: v.IsNull(), chainpack.KindBool: isBool, chainpack.KindInt: isInt,
			chainpack.KindUInt: isUInt, chainpack.KindDouble: isDouble, chainpack.KindDecimal: isDecimal,
			chainpack.KindBlob: isBlob, chainpack.KindString: isString, chainpack.KindDateTime: isDateTime && isTime,
			chainpack.KindList: len(v.Items()) > 0,
		} {
			if is != (v.Kind() == kind) {
				t.Errorf("%v taken for %v: %v", v.Kind(), kind, is)
			}
		}
		for j, w := range all {
			if v.Equal(w) != (i == j) {
				t.Errorf("%v equals %v: %v", v.Kind(), w.Kind(), v.Equal(w))
			}
		}
	}
	if i, ok := chainpack.UInt(5).AsInt(); i != 5 || !ok {
		t.Error("UInt 5 does not fit an Int")
	}
	if u, ok := chainpack.Int(5).AsUInt(); u != 5 || !ok {
		t.Error("Int 5 does not fit a UInt")
	}
}

func TestContainersAreCopies(t *testing.T) {
	items := []chainpack.Value{chainpack.Int(1), chainpack.Int(2)}
	entries := []chainpack.Entry{chainpack.F("a", chainpack.Int(1))}
	list, m := chainpack.List(items...), chainpack.Map(entries...)
	withMeta := list.WithMeta(entries...)
	clear(items)
	clear(entries)
	if i, _ := list.At(1).AsInt(); i != 2 || list.Len() != 2 {
		t.Error("List changed with its argument")
	}
	if _, ok := m.Get("a"); !ok || m.Len() != 1 {
		t.Error("Map changed with its argument")
	}
	if withMeta.Meta()[0].Key.Str() != "a" || list.Meta() != nil {
		t.Error("meta changed, or went to the value that it was derived from")
	}
	_ = append(list.Items(), chainpack.Null())
	if !withMeta.WithMeta().Equal(list) {
		t.Error("WithMeta without entries leaves some")
	}
	if v := list.At(2); !v.IsNull() || !list.At(-1).IsNull() || !chainpack.Int(1).At(0).IsNull() {
		t.Error("At outside is not Null")
	}
}

// Every value that can be built can be sent and read back, also with keys from a received value.
func TestKeysDecideTheKindOfMap(t *testing.T) {
	one := chainpack.Int(1)
	for _, tt := range []struct {
		name string
		v    chainpack.Value
		kind chainpack.Kind
	}{
		{"empty Map", chainpack.Map(), chainpack.KindMap},
		{"empty IMap", chainpack.IMap(), chainpack.KindIMap},
		{"Map of Int keys", chainpack.Map(chainpack.N(1, one)), chainpack.KindIMap},
		{"IMap of String keys", chainpack.IMap(chainpack.F("a", one)), chainpack.KindMap},
		{"mixture", chainpack.Map(chainpack.N(1, one), chainpack.F("a", one)), chainpack.KindMap},
	} {
		if tt.v.Kind() != tt.kind {
			t.Errorf("%s: %v, want %v", tt.name, tt.v.Kind(), tt.kind)
		}
		b := chainpack.Append(nil, tt.v)
		if got, _, err := chainpack.Decode(b, noLimits); err != nil || !got.Equal(tt.v) {
			t.Errorf("%s does not survive: %v", tt.name, err)
		}
	}
	if _, ok := chainpack.Map(chainpack.N(1, one), chainpack.F("a", one)).Get("1"); !ok {
		t.Error("Int key of a mixture has no text")
	}
}

func TestDateTimeIsUnixTime(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.FixedZone("", 3600))
	v := chainpack.Time(at)
	ms, quarters, _ := v.AsDateTime()
	if ms != at.UnixMilli() || quarters != 0 {
		t.Errorf("Time = %d, %d", ms, quarters)
	}
	if got, _ := v.AsTime(); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("AsTime = %v, want %v", got, at)
	}
	for _, v := range []chainpack.Value{
		chainpack.DateTime(math.MaxInt64, 1000), chainpack.DateTime(math.MinInt64, -1000), chainpack.Time(time.Time{}),
	} {
		b := chainpack.Append(nil, v)
		if got, _, err := chainpack.Decode(b, noLimits); err != nil || !got.Equal(v) {
			t.Errorf("% x: got %+v, want %+v, %v", b, got, v, err)
		}
	}
}

func TestMetaOrderCounts(t *testing.T) {
	a, b := chainpack.N(1, chainpack.Int(1)), chainpack.N(2, chainpack.Int(2))
	v, w := chainpack.Null().WithMeta(a, b), chainpack.Null().WithMeta(b, a)
	if v.Equal(w) || v.Equal(chainpack.Null()) || !v.Equal(chainpack.Null().WithMeta(a, b)) {
		t.Error("Equal does not look at metas and their order")
	}
}
