package topics

import (
	"math"
	"strings"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

const (
	// MaxText bounds the resource identifier of a subscription, in bytes.
	MaxText = 512
	// maxTTL bounds the time of a subscription.
	maxTTL = math.MaxInt32 * time.Second
)

// ParseParam reads the param of subscribe and unsubscribe: a resource identifier,
// [identifier, seconds], or the Map of SHV 2 (spec.md 7.7). A ttl of 0 means no end.
// The error is an *rpc.Error with the code CodeInvalidParam.
func ParseParam(param chainpack.Value) (ri shvpath.RI, ttl time.Duration, err error) {
	if text, ok := param.AsString(); ok {
		ri, err = parseRI(text)
		return ri, 0, err
	}
	switch param.Kind() {
	case chainpack.KindMap:
		text, err := fromOldForm(param)
		if err != nil {
			return ri, 0, err
		}
		ri, err = parseRI(text)
		return ri, 0, err
	case chainpack.KindList:
		text, ok := param.At(0).AsString()
		if !ok || param.Len() > 2 {
			break
		}
		if ttl, err = parseTTL(param.At(1)); err != nil {
			return ri, 0, err
		}
		ri, err = parseRI(text)
		return ri, ttl, err
	}
	return ri, 0, rpc.Errorf(rpc.CodeInvalidParam,
		`the param must be a resource identifier, [identifier, seconds], or {"path": …, "method": …, "source": …}`)
}

func parseTTL(v chainpack.Value) (time.Duration, error) {
	if v.IsNull() {
		return 0, nil
	}
	seconds, ok := v.AsInt()
	if !ok || seconds <= 0 {
		return 0, rpc.Errorf(rpc.CodeInvalidParam, "the time of a subscription must be a count of seconds, or Null")
	}
	return min(time.Duration(min(seconds, math.MaxInt32))*time.Second, maxTTL), nil
}

func parseRI(text string) (shvpath.RI, error) {
	if len(text) > MaxText {
		return shvpath.RI{}, rpc.Errorf(rpc.CodeInvalidParam, "a subscription of %d bytes, more than %d", len(text), MaxText)
	}
	ri, err := shvpath.ParseRI(text)
	if err != nil {
		return ri, rpc.Errorf(rpc.CodeInvalidParam, "%v", err)
	}
	return ri, nil
}

// fromOldForm returns the resource identifier that means what a Map of SHV 2 means:
// a path and all below it. A field that is absent or empty means anything. The
// names are not globs.
func fromOldForm(param chainpack.Value) (string, error) {
	path, err := oldField(param, "path", "paths")
	if err != nil {
		return "", err
	}
	signal, err := oldField(param, "method", "methods", "signal")
	if err != nil {
		return "", err
	}
	source, err := oldField(param, "source")
	if err != nil {
		return "", err
	}
	return shvpath.Join(string(shvpath.Clean([]byte(path))), "**") + ":" + orAny(source) + ":" + orAny(signal), nil
}

func orAny(name string) string {
	if name == "" {
		return "*"
	}
	return name
}

// oldField returns the first of the named fields that is present, escaped for an
// identifier.
func oldField(param chainpack.Value, names ...string) (string, error) {
	for _, name := range names {
		v, ok := param.Get(name)
		if !ok || v.IsNull() {
			continue
		}
		text, ok := v.AsString()
		switch {
		case !ok:
			return "", rpc.Errorf(rpc.CodeInvalidParam, "%s must be a String", name)
		case strings.Contains(text, ":"):
			return "", rpc.Errorf(rpc.CodeInvalidParam, "%s must not contain a colon", name)
		}
		return shvpath.Escape(text), nil
	}
	return "", nil
}
