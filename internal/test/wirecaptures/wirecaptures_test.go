package wirecaptures_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/test/wirecaptures"
)

// malformed are the frames of scenarios d and e that are not ChainPack, on purpose. The key
// is the connection, the direction and the number of the frame in its stream.
var malformed = map[string]string{
	"d_bad_login/call16 to broker 0": "unknown protocol byte",
	"d_bad_login/call17 to broker 0": "hello in CPON",
	"d_bad_login/call17 to client 0": "answer in CPON",
	"d_bad_login/call18 to broker 0": "length 0",
	"e_errors/call23 to broker 20":   "length 0",
}

// The C++ programs send canonical ChainPack, so each frame must encode to the same bytes
// again, including DateTimes.
func TestCapturedFramesReencodeToTheirBytes(t *testing.T) {
	good, bad := 0, 0
	for _, scenario := range wirecaptures.Scenarios(t) {
		for _, c := range wirecaptures.Load(t, scenario) {
			for dir, stream := range map[string][]byte{"broker": c.ToBroker, "client": c.ToClient} {
				frames, err := wirecaptures.Frames(stream)
				if err != nil {
					t.Errorf("%s/%s to %s: %v", scenario, c.Name, dir, err)
				}
				for i, frame := range frames {
					place := fmt.Sprintf("%s/%s to %s %d", scenario, c.Name, dir, i)
					if err := reencode(frame); err == nil {
						good++
					} else if malformed[place] == "" {
						t.Errorf("%s: %v", place, err)
					} else {
						bad++
					}
				}
			}
		}
	}
	if good < 1369 || bad != len(malformed) {
		t.Errorf("%d good frames and %d bad ones, want 1369 and %d", good, bad, len(malformed))
	}
}

// reencode decodes a frame as a receiver does, encodes it again and compares the bytes.
func reencode(frame []byte) error {
	meta, body, err := wirecaptures.Split(frame)
	if err != nil {
		return err
	}
	if len(meta) == 0 {
		return errors.New("no meta data")
	}
	v, n, err := chainpack.Decode(body, chainpack.Limits{})
	if err != nil {
		return err
	}
	if n != len(body) {
		return fmt.Errorf("%d bytes after the body", len(body)-n)
	}
	got := chainpack.Append(frame[:1:1], v.WithMeta(meta...))
	if !bytes.Equal(got, frame) {
		return fmt.Errorf("% x became % x", frame, got)
	}
	return nil
}

func TestReadsCoverTheStreams(t *testing.T) {
	scenarios := wirecaptures.Scenarios(t)
	if len(scenarios) != 20 {
		t.Errorf("%d scenarios, want 20", len(scenarios))
	}
	for _, scenario := range scenarios {
		conns := wirecaptures.Load(t, scenario)
		if len(conns) == 0 {
			t.Errorf("%s: no connections", scenario)
		}
		for _, c := range conns {
			var got [3]int
			for i, r := range c.Reads {
				if i > 0 && r.Time < c.Reads[i-1].Time {
					t.Errorf("%s/%s: read %d goes back in time", scenario, c.Name, i)
				}
				if r.Offset != got[r.Direction] && r.Length > 0 {
					t.Errorf("%s/%s: read %d at %d, want %d", scenario, c.Name, i, r.Offset, got[r.Direction])
				}
				got[r.Direction] += r.Length
			}
			if got[wirecaptures.ToBroker] != len(c.ToBroker) || got[wirecaptures.ToClient] != len(c.ToClient) {
				t.Errorf("%s/%s: reads of %d and %d bytes, streams of %d and %d", scenario, c.Name,
					got[wirecaptures.ToBroker], got[wirecaptures.ToClient], len(c.ToBroker), len(c.ToClient))
			}
		}
	}
}

func TestFramesReportsWhereAStreamIsCut(t *testing.T) {
	stream := []byte{1, 0xaa, 0, 2, 0xbb}
	frames, err := wirecaptures.Frames(stream)
	if len(frames) != 2 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d frames, %v", len(frames), err)
	}
	if _, err := wirecaptures.Frames([]byte{0xff}); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("malformed length: %v", err)
	}
}
