package core_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// Brokers that are connected in a ring detect it, whatever its length.
func TestLoopIsFound(t *testing.T) {
	inTree(t, func(t *testing.T) {
		var ring [3]*world.World
		for i := range ring {
			ring[i] = world.New(t, core.Options{})
		}
		ask := func(w *world.World) func(asked []string) []string {
			return func(asked []string) []string {
				r := w.As("child", `{}`)
				var items []string
				for _, id := range asked {
					items = append(items, fmt.Sprintf("%q", id))
				}
				answer := r.Ask(ownNode, "brokersAbove", "["+strings.Join(items, ",")+"]")
				return strings.Split(strings.TrimSuffix(strings.TrimPrefix(answer, `{2:["`), `"]}`), `","`)
			}
		}
		attach := func(i int) {
			up := ring[(i+1)%3]
			r := up.As("child", `{"broker":{},"device":{"mountPoint":"c"}}`)
			asParent(t, ring[i], r, "", ask(up))
		}
		attach(0)
		attach(1)
		got := ask(ring[0])([]string{ring[2].ID()})
		if !slices.Contains(got, ring[1].ID()) || !slices.Contains(got, ring[2].ID()) {
			t.Errorf("above the first one are %q, without the last one", got)
		}
		if got := ask(ring[2])([]string{"x"}); len(got) != 1 {
			t.Errorf("above the last one are %q", got)
		}
		attach(2) // it did not look: the others must not ask for ever
		if got := ask(ring[0])([]string{"x"}); len(got) < 3 || len(got) > maxStack {
			t.Errorf("%d ids", len(got))
		}
		// Nor does a call go round for ever: the number of its caller ids is bounded.
		user := ring[0].Admin()
		user.Send(`<1:1,8:3,9:"%s",10:"get">i{}`, strings.Repeat("c/", 40))
		user.ExpectError(3, rpc.CodeInvalidRequest, "caller ids")
	})
}

// An incomplete list of the parent brokers shows no loop, so it does not count as one.
func TestBrokerAboveThatDoesNotTellIsNoEndOfTheTree(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		up := func(ids []string, err error) {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = ours.Close() })
			l := link.New(theirs, w.LinkOptions())
			call := func(context.Context, string, string, chainpack.Value) (chainpack.Value, error) {
				var items []chainpack.Value
				for _, id := range ids {
					items = append(items, chainpack.String(id))
				}
				return chainpack.List(items...), err
			}
			p, attached := w.AddParent(l, transport.Peer{}, core.ParentOptions{Name: "up", Call: call})
			if attached != nil {
				t.Fatal(attached)
			}
			p.Ready()
			go func() {
				l.Run(upward{p, l})
				p.End()
			}()
		}
		child := w.As("child", `{}`)
		ask := func() string { return child.Ask(ownNode, "brokersAbove", `["asks"]`) }
		known := fmt.Sprintf(`{2:["%s"`, w.ID())
		if got := ask(); got != known+`]}` {
			t.Errorf("without one above: %s", got)
		}
		up(nil, rpc.NotFound("brokersAbove", ownNode)) // not one of ours
		if got := ask(); got != known+`]}` {
			t.Errorf("below one that knows no such question: %s", got)
		}
		up(nil, rpc.Errorf(rpc.CodeTryAgainLater, "busy"))
		child.Send(`<1:1,8:90,9:".broker/currentClient",10:"brokersAbove">i{1:["asks"]}`)
		child.ExpectError(90, rpc.CodeTryAgainLater, "busy")
		many := make([]string, 2*maxStack)
		for i := range many {
			many[i] = fmt.Sprint(i)
		}
		up(many, nil)
		up(append(many[:maxStack-1:maxStack-1], "asks"), nil) // whatever the others say
		if got := ask(); !strings.Contains(got, `"asks"`) {
			t.Errorf("a loop was not found: %s", got)
		}
	})
}

// A child broker gives a connection up if its parent does not answer which brokers are
// above. No client may cause that by asking the same question all the time.
func TestCuriousClientsKeepNoBrokerFromAsking(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		ours, theirs := net.Pipe()
		defer ours.Close()
		l := link.New(theirs, w.LinkOptions())
		call := func(ctx context.Context, _, _ string, param chainpack.Value) (chainpack.Value, error) {
			if asked, _ := param.At(0).AsString(); asked == "curious" {
				<-ctx.Done() // it takes its time
				return chainpack.Value{}, ctx.Err()
			}
			return chainpack.List(chainpack.String("top")), nil
		}
		p, err := w.AddParent(l, transport.Peer{}, core.ParentOptions{Name: "up", Call: call})
		if err != nil {
			t.Fatal(err)
		}
		p.Ready()
		go func() {
			l.Run(upward{p, l})
			p.End()
		}()
		eve, child := w.Client(), w.As("child", `{}`)
		for id := range core.MaxAsking + core.MaxCurious {
			eve.Send(`<1:1,8:%d,9:".broker/currentClient",10:"brokersAbove">i{1:["curious"]}`, id+1)
		}
		for id := range core.MaxAsking {
			eve.ExpectError(core.MaxCurious+int64(id)+1, rpc.CodeTryAgainLater, "too many")
		}
		if got, want := child.Ask(ownNode, "brokersAbove", `["asks"]`), fmt.Sprintf(`{2:["%s","top"]}`, w.ID()); got != want {
			t.Errorf("the broker below hears %s, want %s", got, want)
		}
	})
}
