package record

import (
	"bytes"
	"strings"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
)

// kind is what a call is for the record.
type kind int

const (
	none        kind = iota
	launch           // of launchRexec, from which a session comes
	command          // of runCmd
	script           // of runScript
	fileChange       // of a node below sys/fs
	attach           // the start of an in-band session (protocol.md 6)
	inBandInput      // of that session
	inBandEnd
)

func (k kind) use() string {
	return [...]string{command: "commands", script: "scripts", fileChange: "files"}[k]
}

const (
	// inBandNode and filesNode are the nodes of an agent below which in-band sessions and
	// files are found.
	inBandNode = ".rexec/"
	filesNode  = "sys/fs"
)

// kindOf returns what a call of a method at a clean path is. It does not allocate.
func kindOf(path, method []byte) kind {
	switch string(method) {
	case "launchRexec":
		return launch
	case "runCmd":
		return command
	case "runScript":
		return script
	case "attach":
		if isInBand(path) {
			return attach
		}
	case "close":
		if isInBand(path) {
			return inBandEnd
		}
	case "write":
		if isInBand(path) {
			return inBandInput
		}
		if isFile(path) {
			return fileChange
		}
	case "append", "truncate", "mkfile", "mkdir", "rmdir", "delete":
		if isFile(path) {
			return fileChange
		}
	}
	return none
}

// below returns the index in path after a part of whole names; -1: it has no such part.
func below(path []byte, names string) int {
	for from := 0; ; {
		at := bytes.Index(path[from:], []byte(names))
		if at < 0 {
			return -1
		}
		if at += from; at == 0 || path[at-1] == '/' {
			return at + len(names)
		}
		from = at + 1
	}
}

func isInBand(path []byte) bool {
	at := below(path, inBandNode)
	return at >= 0 && bytes.IndexByte(path[at:], '/') < 0
}

func isFile(path []byte) bool {
	at := below(path, filesNode)
	return at >= 0 && (at == len(path) || path[at] == '/')
}

// cutNode returns the path of the device and the id of an in-band session.
func cutNode(node string) (path, id string) {
	at := strings.LastIndexByte(node, '/')
	path, _ = strings.CutSuffix(node[:at+1], inBandNode)
	return strings.TrimSuffix(path, "/"), node[at+1:]
}

// isQuery reports whether the body of a request only asks about a call, or aborts it
// (spec.md 3.7).
func isQuery(body []byte) bool {
	in := chainpack.NewScanner(body, chainpack.Limits{})
	if in.Enter(chainpack.ByteIMap) != nil || in.Leave() {
		return false
	}
	key, err := in.Int()
	return err == nil && key == rpc.KeyAbort && in.Skip() == nil && in.Leave()
}

// keyOf returns the first key of a body; 0: it has none.
func keyOf(body []byte) int64 {
	in := chainpack.NewScanner(body, chainpack.Limits{})
	if in.Enter(chainpack.ByteIMap) != nil || in.Leave() {
		return 0
	}
	key, err := in.Int()
	if err != nil {
		return 0
	}
	return key
}

const (
	// maxRunBytes and maxRunItems bound the param of a launchRexec that is decoded. A longer
	// one is passed on, and its record has unread instead of the command.
	maxRunBytes = 1 << 20
	maxRunItems = 4 << 10
	unread      = "(not read)"
)

// runOf returns the use and the command that a launchRexec asks for (protocol.md 1,
// spec.md 8.3).
func runOf(m *rpc.Message) (use, run string) {
	if len(m.Body()) > maxRunBytes {
		return "", unread
	}
	content, err := m.ContentWithin(maxRunItems)
	if err != nil {
		return "", unread
	}
	ext, _ := content.Value.Get("ext")
	version, _ := ext.Get("version")
	if n, ok := version.AsInt(); ok && n >= 1 {
		offer, _ := ext.Get("run")
		for _, e := range offer.Entries() {
			said, _ := e.Value.AsString()
			switch e.Key.Str() {
			case "shell":
				return "shell", said
			case "exec":
				return "commands", said
			case "subsystem":
				return said, ""
			}
		}
	}
	method, _ := content.Value.Get("method")
	params, _ := content.Value.Get("params")
	if name, _ := method.AsString(); name == "runPtyCmd" {
		params = params.At(0)
	}
	var words []string
	for _, item := range params.Items() {
		words = append(words, text(item))
	}
	if params.Kind() != chainpack.KindList && !params.IsNull() {
		words = []string{text(params)}
	}
	return "", audit.CommandText(words)
}
