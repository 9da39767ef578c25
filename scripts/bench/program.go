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

// A program must be ready within startDeadline, and end by itself within endDeadline.
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

// startProgram starts a program in a process group of its own. A Ctrl-C then reaches bench
// alone, which ends the other programs in order.
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

// environ returns the environment without variables that configure the programs, because
// the figures measure their defaults.
func environ() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SHV_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// awaitReady waits for the ready file of the program and returns its first line. If there
// is none in time, it stops the program.
func (p *program) awaitReady(ctx context.Context, file string) (line string, err error) {
	err = p.await(ctx, func() bool {
		text, _ := os.ReadFile(file)
		var whole bool
		line, _, whole = strings.Cut(string(text), "\n")
		return whole
	})
	return line, err
}

// await waits until the program has made a condition true.
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

// stop ends the program, with SIGKILL if necessary.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(endDeadline):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
