package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"shvtools/internal/device/ptyproc"
)

// terminal is a program on a pty in which cat echoes what is typed.
type terminal struct {
	proc *ptyproc.Proc
	out  *ptyproc.Output
	stop func() bool
	took []time.Duration // of the samples
}

// echoLine turns a shell into an echo. The word that it prints is not in the echo of the
// line itself.
const (
	echoLine  = "stty raw -echo; printf 're%s' ady; exec cat\r"
	echoReady = "ready"
)

// openEcho starts a program that opens a shell, and runs cat in it. The program ends with
// ctx.
func openEcho(ctx context.Context, argv []string) (t *terminal, err error) {
	proc, err := ptyproc.Start(ptyproc.Spec{
		Path: argv[0], Argv: argv, Env: environ(), Pty: &ptyproc.Size{Cols: 80, Rows: 24},
	})
	if err != nil {
		return nil, err
	}
	t = &terminal{proc: proc, out: proc.Outputs()[0]}
	t.stop = context.AfterFunc(ctx, func() { _ = proc.Close() })
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	buf := make([]byte, 4096)
	n, err := t.out.Read(buf) // a prompt
	if err != nil {
		return nil, fmt.Errorf("%s: no prompt: %w", argv[0], err)
	}
	time.Sleep(300 * time.Millisecond) // the rest of the prompt, which differs from shell to shell
	if _, err := proc.Write([]byte(echoLine)); err != nil {
		return nil, err
	}
	for seen := buf[:n:n]; !bytes.HasSuffix(seen, []byte(echoReady)); {
		n, err := t.out.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("%s: no echo: %w: %q", argv[0], err, seen)
		}
		seen = append(seen, buf[:n]...)
	}
	return t, nil
}

func (t *terminal) close() {
	t.stop()
	t.proc.Hangup(endDeadline)
	_ = t.proc.Close()
}

// sample types bytes one after the other and records how long each echo took.
func (t *terminal) sample(warmup, count int) error {
	key, echo := []byte("k"), make([]byte, 16)
	for i := range warmup + count {
		start := time.Now()
		if _, err := t.proc.Write(key); err != nil {
			return err
		}
		n, err := t.out.Read(echo)
		if err != nil {
			return err
		}
		if n != 1 || echo[0] != key[0] {
			return fmt.Errorf("%q came back for %q", echo[:n], key)
		}
		if i >= warmup {
			t.took = append(t.took, time.Since(start))
		}
	}
	return nil
}
