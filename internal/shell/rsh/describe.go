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
	"shvtools/internal/wire/client"
)

// lookAround bounds the search for the device that the user may have meant.
const lookAround = 2 * time.Second

// describeLogin adds the path to an error of the connection or the login.
func (s *session) describeLogin(err error) error {
	var reason *rpc.Error
	if errors.Is(err, client.ErrRefused) && errors.As(err, &reason) {
		return fmt.Errorf("%s: %w: %s", s.opts.Path, client.ErrRefused, refusal(reason.Error()))
	}
	return fmt.Errorf("%s: %w%s", s.opts.Path, err, s.noHost())
}

// refusal returns what a person needs of a broker's text for a refused login. SHV 2
// brokers put "Invalid authentication for user: NAME reason: " before it (spec.md 5.5).
func refusal(text string) string {
	if rest, ok := strings.CutPrefix(text, "Invalid authentication for user: "); ok {
		if _, reason, ok := strings.Cut(rest, " reason: "); ok && reason != "" {
			return reason
		}
	}
	return text
}

// noHost is a hint for users who mistyped the name of a configured host; "" for others.
func (s *session) noHost() string {
	if s.opts.Unlisted == "" {
		return ""
	}
	return "; no host " + s.opts.Unlisted + " in config.yaml"
}

// describe makes an error of the call readable: what failed at which path, and which
// device may have been meant.
func (s *session) describe(err error) error {
	path := s.opts.Path
	var refused *rpc.Error
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", path, err)
	}
	if since, ok := offlineSince(refused); ok {
		return fmt.Errorf("%s: the device has been offline since %s", path, since.Format(time.DateTime))
	}
	if refused.Code != rpc.CodeMethodNotFound {
		return fmt.Errorf("%s: %w", path, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookAround)
	defer cancel()
	if hint := s.nearest(ctx); hint != "" {
		return fmt.Errorf("%s: no such device: %s%s", path, hint, s.noHost())
	}
	return fmt.Errorf("%s: no such device: %w%s", path, err, s.noHost())
}

// offlineSince reads since when a device is offline, from the error of a broker that
// knows the device.
func offlineSince(e *rpc.Error) (time.Time, bool) {
	field, ok := e.Data.Get("offlineSince")
	if !ok {
		return time.Time{}, false
	}
	at, ok := field.AsTime()
	return at.Local(), ok
}

// nearest finds the first name of the path that does not exist, and says what exists
// instead; "" if the broker refuses to list names.
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
	return "it exists, but is not a shvagent"
}

// missing says that name does not exist at a path, where names do.
func missing(at, name string, names []string) string {
	where := "the broker"
	if at != "" {
		where = at
	}
	text := fmt.Sprintf("%s has no %s", where, name)
	if best := closest(name, names); best != "" {
		return text + ", did you mean " + shvpath.Join(at, best) + "?"
	}
	return text
}

// closest returns the name that is most like the wanted one, "" if none is. Names with
// other digits do not count: pump8 is not pump7 mistyped but another device, and pump7
// may only be offline.
func closest(wanted string, names []string) string {
	best, least := "", len(wanted)/2+1
	for _, name := range names {
		if strings.HasPrefix(name, ".") || digits(name) != digits(wanted) {
			continue
		}
		if d := distance(wanted, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// digits returns the digits of a name.
func digits(name string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, name)
}

// distance returns how many letters must be changed, added or removed to turn a into b.
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
