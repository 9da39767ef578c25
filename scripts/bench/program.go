package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startDeadline is how long anything may take to be ready, and endDeadline how
// long to end by itself.
const (
	startDeadline = 10 * time.Second
	endDeadline   = 5 * time.Second
)

// program is a process in the background.
type program struct {
	name string
	cmd  *exec.Cmd
	log  string        // file with its output
	done chan struct{} // closed when it has ended
}

// startProgram starts a program in a process group of its own: a Ctrl-C reaches
// this program alone, which ends the others in order.
func startProgram(temp, name, path string, args ...string) (*program, error) {
	p := &program{name: name, log: filepath.Join(temp, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = environ()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// environ is our environment without what configures the programs: the figures
// are about their defaults.
func environ() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SHV_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// awaitReady waits until the program has written its ready file and gives its
// first line. A program that does not get that far is stopped.
func (p *program) awaitReady(ctx context.Context, file string) (line string, err error) {
	err = p.await(ctx, func() bool {
		text, _ := os.ReadFile(file)
		var whole bool
		line, _, whole = strings.Cut(string(text), "\n")
		return whole
	})
	return line, err
}

// await waits for a condition that the program brings about.
func (p *program) await(ctx context.Context, met func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !met() {
		select {
		case <-ticker.C:
			continue
		case <-p.done:
		case <-ctx.Done():
		}
		p.stop()
		log, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s was not ready: %s", p.name, strings.TrimSpace(string(log)))
	}
	return nil
}

// stop ends the program, if it must with KILL.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(endDeadline):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
