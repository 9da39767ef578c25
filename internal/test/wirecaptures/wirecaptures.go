// Package wirecaptures gives tests the recorded traffic of the C++ programs: the
// bytes of each connection in both directions, and the times of the reads.
// testdata/README.md describes the recordings. Only tests import it. It reads frames
// from memory alone; package link reads those of the network.
package wirecaptures

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
)

//go:embed testdata
var files embed.FS

// Direction says who sent the bytes of a Read.
type Direction uint8

// The directions. Lines about the connection as a whole have NoDirection.
const (
	NoDirection Direction = iota
	ToBroker
	ToClient
)

// Read is one line of an index: an event that the proxy between client and broker
// saw. If Kind is DATA, Offset and Length give the bytes in the stream of that
// direction. For other kinds, such as OPEN and EOF, both are 0.
type Read struct {
	Time           time.Duration // since the first line of the connection
	Direction      Direction
	Kind           string
	Offset, Length int
}

// Conn is one recorded connection. Name is the client's program, with a number if it
// is not the program's first connection. The slices are fresh copies.
type Conn struct {
	Scenario, Name     string
	ToBroker, ToClient []byte
	Reads              []Read
}

// Scenarios returns the names of all scenarios, sorted.
func Scenarios(t testing.TB) []string {
	t.Helper()
	entries, err := files.ReadDir("testdata")
	if err != nil {
		t.Fatalf("captures: %v", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// Load returns all connections of one scenario, sorted by name.
func Load(t testing.TB, scenario string) []Conn {
	t.Helper()
	dir := path.Join("testdata", scenario)
	entries, err := files.ReadDir(dir)
	if err != nil {
		t.Fatalf("captures: %v", err)
	}
	var conns []Conn
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".idx")
		if !ok {
			continue
		}
		c := Conn{Scenario: scenario, Name: name}
		base := path.Join(dir, name)
		// A direction in which nothing was sent has no file.
		c.ToBroker, _ = files.ReadFile(base + "-c2b.bin")
		c.ToClient, _ = files.ReadFile(base + "-b2c.bin")
		index, err := files.ReadFile(base + ".idx")
		if err == nil {
			c.Reads, err = parseIndex(string(index))
		}
		if err != nil {
			t.Fatalf("captures: %s: %v", base, err)
		}
		conns = append(conns, c)
	}
	sort.Slice(conns, func(i, j int) bool { return conns[i].Name < conns[j].Name })
	return conns
}

// parseIndex reads lines of the form "seconds direction KIND offset length".
func parseIndex(index string) ([]Read, error) {
	var reads []Read
	var start float64
	for i, line := range strings.Split(strings.TrimSpace(index), "\n") {
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("index line %d: %q", i+1, line)
		}
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			return nil, fmt.Errorf("index line %d: %w", i+1, err)
		}
		if i == 0 {
			start = at
		}
		r := Read{Time: time.Duration((at - start) * float64(time.Second)), Kind: f[2]}
		switch f[1] {
		case "c2b":
			r.Direction = ToBroker
		case "b2c":
			r.Direction = ToClient
		}
		if r.Kind == "DATA" {
			if _, err := fmt.Sscan(strings.Join(f[3:], " "), &r.Offset, &r.Length); err != nil {
				return nil, fmt.Errorf("index line %d: %w", i+1, err)
			}
		}
		reads = append(reads, r)
	}
	return reads, nil
}

// Frames returns the payloads of a stream with block framing (spec.md 4.1), each with
// its protocol byte first. They alias stream. If the last frame is cut short or a
// length is malformed, Frames returns the frames before it and an error that names the
// offset and wraps io.ErrUnexpectedEOF or the cause.
func Frames(stream []byte) ([][]byte, error) {
	var frames [][]byte
	for off := 0; off < len(stream); {
		size, n, err := chainpack.UIntData(stream[off:])
		if err == nil && size > uint64(len(stream)-off-n) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return frames, fmt.Errorf("captures: frame at offset %d: %w", off, err)
		}
		end := off + n + int(size)
		frames = append(frames, stream[off+n:end:end])
		off = end
	}
	return frames, nil
}

// Split returns the meta data of a ChainPack frame, decoded, and the bytes of its body.
func Split(frame []byte) (meta []chainpack.Entry, body []byte, err error) {
	if len(frame) == 0 || frame[0] != 1 {
		return nil, nil, errors.New("captures: not a ChainPack frame")
	}
	meta, n, err := chainpack.DecodeMeta(frame[1:], chainpack.Limits{})
	return meta, frame[1+n:], err
}
