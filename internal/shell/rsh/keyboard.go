package rsh

// keyboard is the user's terminal, as a reader of what is typed for the device.
type keyboard struct {
	session *session
	escapes escapes
	typed   []byte
}

// Read waits for something that is for the device.
func (k *keyboard) Read(b []byte) (int, error) {
	if k.escapes.char == 0 {
		return k.session.opts.Stdin.Read(b)
	}
	for {
		// One byte less, for the escape character that was held back.
		n, err := k.session.opts.Stdin.Read(b[:len(b)-1])
		k.typed = append(k.typed[:0], b[:n]...)
		pass := k.escapes.filter(b[:0], k.typed, k.session.command)
		if len(pass) > 0 || err != nil {
			return len(pass), err
		}
	}
}
