package rsh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// lookAround is how long the search for what the user may have meant may take.
const lookAround = 2 * time.Second

// describe makes an error of the call readable: what failed on which path, and
// what may have been meant.
func (s *session) describe(err error) error {
	path := s.opts.Path
	var refused *rpc.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", path, err)
	}
	if since, ok := offlineSince(refused); ok {
		return fmt.Errorf("%s: the device is offline since %s", path, since.Format(time.DateTime))
	}
	if refused.Code != rpc.CodeMethodNotFound {
		return fmt.Errorf("%s: %w", path, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookAround)
	defer cancel()
	if hint := s.nearest(ctx); hint != "" {
		return fmt.Errorf("%s: no such device: %s", path, hint)
	}
	return fmt.Errorf("%s: no such device: %w", path, err)
}

// offlineSince reads what a broker tells of a device that it knows.
func offlineSince(e *rpc.Error) (time.Time, bool) {
	field, ok := e.Data.Get("offlineSince")
	if !ok {
		return time.Time{}, false
	}
	at, ok := field.AsTime()
	return at.Local(), ok
}

// nearest looks for the first name of the path that is not there, and for what is
// there instead; "" where the broker does not let us look, or all of it exists.
func (s *session) nearest(ctx context.Context) string {
	at := ""
	for name := range strings.SplitSeq(s.opts.Path, "/") {
		list, err := s.client.Call(ctx, at, "ls", chainpack.Null())
		if err != nil {
			return ""
		}
		var names []string
		for _, item := range list.Items() {
			text, _ := item.AsString()
			if text == name {
				names = nil
				break
			}
			names = append(names, text)
		}
		if names == nil && list.Len() > 0 {
			at = shvpath.Join(at, name)
			continue
		}
		return missing(at, name, names)
	}
	return "what is there is no agent"
}

// missing says that name is not at a path where names are.
func missing(at, name string, names []string) string {
	where := "the broker"
	if at != "" {
		where = at
	}
	text := fmt.Sprintf("there is no %s in %s", name, where)
	if best := closest(name, names); best != "" {
		return text + ", did you mean " + shvpath.Join(at, best) + "?"
	}
	return text
}

// closest is the name that is most like the wanted one, "" where none is.
func closest(wanted string, names []string) string {
	best, least := "", len(wanted)/2+1
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		if d := distance(wanted, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be changed, added or left out to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
