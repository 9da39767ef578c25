// Package journal writes the traffic of a broker for people to read:
//
//	1 ==> <T:RpcMessage,id:3,cid:2>i{result:[1,"ls\r\n"]}
//
// A line has the id of the link, <== for received or ==> for sent, the meta with names for
// its tags, and the body. It is a log and not CPON: nothing reads it back. Control
// characters are escaped, since it is read at terminals, and strangers can send messages.
//
// Secrets are masked: passwords, tokens, tunnel secrets, the environment and the command of
// a session, what a command writes, and the content of files. Of tunnel data only the size
// is shown (design.md 5). An unsafe journal shows everything.
package journal

import (
	"fmt"
	"io"
	"strconv"
	"sync"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/sys/visible"
)

// abbreviated is the size in bytes from which on only the size of a body is shown.
const abbreviated = 256

// Writer writes a journal. A nil Writer writes nothing. Its methods may be called
// concurrently, and lines do not mix. They wait for the io.Writer.
type Writer struct {
	unsafe bool

	mu      sync.Mutex
	w       io.Writer
	secrets secretCalls
	raw     []byte // a message as CPON, which leaves control characters as they are
	line    []byte
}

// New returns a Writer to w, which receives each line with one call. An unsafe journal
// shows everything in full: passwords, secrets and each key that is typed.
func New(w io.Writer, unsafe bool) *Writer { return &Writer{w: w, unsafe: unsafe} }

// Received writes a message from the link id; message is without its protocol byte. data
// says that its body is what somebody typed or was shown.
func (j *Writer) Received(id int64, message []byte, data bool) { j.write(id, " <== ", message, data) }

// Sent writes a message to the link id; see Received.
func (j *Writer) Sent(id int64, message []byte, data bool) { j.write(id, " ==> ", message, data) }

func (j *Writer) write(id int64, arrow string, message []byte, data bool) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.raw = j.appendMessage(j.raw[:0], id, message, data)
	j.line = strconv.AppendInt(j.line[:0], id, 10)
	j.line = append(j.line, arrow...)
	j.line = visible.Append(j.line, j.raw)
	j.line = append(j.line, '\n')
	_, _ = j.w.Write(j.line)
}

func (j *Writer) appendMessage(dst []byte, id int64, message []byte, data bool) []byte {
	meta, n, err := chainpack.DecodeMeta(message, chainpack.Limits{})
	if err != nil {
		return fmt.Appendf(dst, "(unreadable: %v)", err)
	}
	dst = append(dst, '<')
	for i, e := range meta {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = j.appendMetaEntry(dst, e)
	}
	dst = append(dst, '>')

	body := message[n:]
	secret := !j.unsafe && j.secrets.concern(id, meta)
	if !j.unsafe && (data || len(body) >= abbreviated || secret) {
		return fmt.Appendf(dst, `" ... %d bytes of data ... "`, len(body))
	}
	v, _, err := chainpack.Decode(body, chainpack.Limits{})
	if err != nil {
		return fmt.Appendf(dst, "(unreadable body of %d bytes: %v)", len(body), err)
	}
	if !j.unsafe {
		v = maskBody(v)
	}
	return appendNamed(dst, v, bodyNames)
}

// appendNamed appends an IMap with names instead of the keys that have one.
func appendNamed(dst []byte, v chainpack.Value, names map[int64]string) []byte {
	if v.Kind() != chainpack.KindIMap {
		return cpon.Append(dst, v)
	}
	dst = append(dst, "i{"...)
	for i, e := range v.Entries() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendName(dst, e.Key, names)
		dst = cpon.Append(dst, e.Value)
	}
	return append(dst, '}')
}

func appendName(dst []byte, key chainpack.Key, names map[int64]string) []byte {
	if name, ok := names[key.Int()]; ok && key.IsInt() {
		dst = append(dst, name...)
	} else {
		dst = cpon.AppendKey(dst, key)
	}
	return append(dst, ':')
}
