package rsh

// keyboard reads from the user's terminal what is typed for the device, and carries out
// the commands for shvrsh.
type keyboard struct {
	session *session
	escapes escapes
	typed   []byte
}

// Read waits for input for the device. It returns at most len(b)-1 bytes.
func (k *keyboard) Read(b []byte) (int, error) {
	if k.escapes.char == 0 {
		return k.session.opts.Stdin.Read(b)
	}
	for {
		// One byte less: the escape character may have been held back.
		n, err := k.session.opts.Stdin.Read(b[:len(b)-1])
		k.typed = append(k.typed[:0], b[:n]...)
		pass := k.escapes.filter(b[:0], k.typed, k.session.command)
		if len(pass) > 0 || err != nil {
			return len(pass), err
		}
	}
}
