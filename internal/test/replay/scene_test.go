package replay

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/test/wirecaptures"
)

// kind is the kind of an event, seen from the client.
type kind int

const (
	opens    kind = iota // the client connects
	sends                // frames to the broker
	receives             // one frame to the client
	hangsUp              // the client closes
	isClosed             // the broker closes
)

// event is one step of a recorded scenario.
type event struct {
	at     time.Duration // since the first event of the scenario
	conn   string
	kind   kind
	frames [][]byte // payloads, protocol byte first; an empty one has length 0
	number int      // of the first of frames, among those of its direction
}

// scene returns all events of a scenario in the order of time. Frames that a client
// wrote at once are one event.
func scene(t *testing.T, scenario string) []event {
	t.Helper()
	var events []event
	for _, c := range wirecaptures.Load(t, scenario) {
		events = append(events, conversation(t, c)...)
	}
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	first := events[0].at
	for i := range events {
		events[i].at -= first
	}
	return events
}

// one returns the events of one connection of a scenario.
func one(t *testing.T, scenario, conn string) []event {
	t.Helper()
	for _, c := range wirecaptures.Load(t, scenario) {
		if c.Name == conn {
			return conversation(t, c)
		}
	}
	t.Fatalf("%s has no connection %s", scenario, conn)
	return nil
}

func conversation(t *testing.T, c wirecaptures.Conn) []event {
	t.Helper()
	start := begin(t, c)
	streams := [...]*stream{
		wirecaptures.ToBroker: cut(t, c.ToBroker),
		wirecaptures.ToClient: cut(t, c.ToClient),
	}
	var events []event
	for _, r := range c.Reads {
		e := event{at: start + r.Time.Round(time.Microsecond), conn: c.Name}
		switch {
		case r.Kind == "OPEN":
			e.kind = opens
		case r.Kind == "DATA":
			s := streams[r.Direction]
			e.number = s.taken
			e.frames = s.upTo(r.Offset + r.Length)
			if e.kind = sends; r.Direction == wirecaptures.ToBroker {
				break
			}
			for i, frame := range e.frames {
				e.kind = receives
				e.frames = [][]byte{frame}
				if i > 0 {
					e.number++
				}
				events = append(events, e)
			}
			continue
		case r.Direction == wirecaptures.ToBroker:
			e.kind = hangsUp
		case r.Direction == wirecaptures.ToClient:
			e.kind = isClosed
		default:
			continue
		}
		events = append(events, e)
	}
	return events
}

// begin returns the time of the first line of a connection's index. The connections of a
// scenario share a clock, but their Reads begin at 0.
func begin(t *testing.T, c wirecaptures.Conn) time.Duration {
	t.Helper()
	index, err := os.ReadFile(filepath.Join("..", "wirecaptures", "testdata", c.Scenario, c.Name+".idx"))
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(index), " ")
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(math.Round(seconds*1e6)) * time.Microsecond
}

// stream holds the frames of one direction, and where each ends.
type stream struct {
	frames [][]byte
	ends   []int
	taken  int
}

func cut(t *testing.T, recorded []byte) *stream {
	t.Helper()
	frames, err := wirecaptures.Frames(recorded)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{frames: frames}
	end := 0
	for _, f := range frames {
		end += len(chainpack.AppendUIntData(nil, uint64(len(f)))) + len(f)
		s.ends = append(s.ends, end)
	}
	if end != len(recorded) {
		t.Fatalf("frames of %d bytes in a stream of %d", end, len(recorded))
	}
	return s
}

// upTo removes and returns the frames that are complete at an offset.
func (s *stream) upTo(offset int) [][]byte {
	from := s.taken
	for s.taken < len(s.ends) && s.ends[s.taken] <= offset {
		s.taken++
	}
	return s.frames[from:s.taken]
}
