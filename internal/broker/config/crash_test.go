package config_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	writerEnv = "BROKERCONF_TEST_WRITER" // the access file that a child writes for ever
	fullEnv   = "BROKERCONF_TEST_FULL"   // where a child may mount a small tmpfs
)

func TestMain(m *testing.M) {
	if file := os.Getenv(writerEnv); file != "" {
		writeForever(file)
	}
	os.Exit(m.Run())
}

// writeForever changes two users again and again, so that no change leaves the
// file as long as it was.
func writeForever(file string) {
	f := newFixture(new(testing.B), file)
	for i := 0; ; i++ {
		value := fmt.Sprintf(`{"password":{"Plain":"%s"},"deactivated_reason":"%d"}`, strings.Repeat("x", 1+i%5000), i)
		for _, name := range []string{"first", "second"} {
			if err := f.set(users, name, value); err != nil {
				fmt.Println("failed", err)
				os.Exit(1)
			}
		}
		fmt.Println("written", i)
	}
}

func TestAfterAKillTheFileIsTheOldOneOrTheNewOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.yaml")
	for round := range 30 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), writerEnv+"="+file, "TMPDIR="+filepath.Dir(file)) // it cannot clean up
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewScanner(out)
		last := -1
		kill := time.AfterFunc(time.Hour, func() {})
		for in.Scan() {
			word, number, _ := strings.Cut(in.Text(), " ")
			if word != "written" {
				t.Errorf("the child: %s", in.Text())
				break
			}
			last, _ = strconv.Atoi(number)
			if last == 0 { // at some moment of the writing that follows
				kill = time.AfterFunc(time.Duration(round*137%5000)*time.Microsecond, func() { _ = child.Process.Kill() })
			}
		}
		kill.Stop()
		_ = child.Process.Kill()
		_ = child.Wait()
		if last < 0 {
			t.Fatal("the child wrote nothing")
		}
		f := newFixture(t, file) // reads the file, or fails
		for _, name := range []string{"first", "second"} {
			v, ok := f.tables[users].Value(name)
			reason, _ := v.Get("deactivated_reason")
			text, _ := reason.AsString()
			got, err := strconv.Atoi(text)
			if !ok || err != nil || got < last || got > last+1 {
				t.Fatalf("round %d: %s is of change %q, and %d was on disk", round, name, text, last)
			}
		}
		if err := f.set(users, "after", `{"password":{"Plain":"x"}}`); err != nil {
			t.Fatalf("what the kill has left is in the way: %v", err)
		}
		_ = os.Remove(file + ".written") // else the next round would miss the file
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk runs itself again in a mount namespace of its own.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(fullEnv); dir != "" {
		fullDisk(t, dir)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small tmpfs")
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	child.Env = append(os.Environ(), fullEnv+"="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := child.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("this root may not make a mount namespace")
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFullDisk") {
		t.Errorf("%v\n%s", err, out)
	}
}

func fullDisk(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	f := newFixture(t, filepath.Join(dir, "access.yaml"))
	user := `{"password":{"Plain":"` + strings.Repeat("x", 8000) + `"},"roles":["viewer"]}`
	var refused error
	good := 0
	for ; refused == nil; good++ {
		if good > 20 {
			t.Fatal("the disk does not get full")
		}
		refused = f.set(users, fmt.Sprint("user", good), user)
	}
	good--
	if !errors.Is(refused, syscall.ENOSPC) || !strings.Contains(refused.Error(), "not in force") {
		t.Errorf("the caller is told %v", refused)
	}
	late := fmt.Sprint("user", good)
	if f.applied != good || f.inForce.User(late) != nil || f.value(users, late) != "none" {
		t.Errorf("%d changes in force, %d on disk", f.applied, good)
	}
	c := f.kept()
	if c.Directory.User(late) != nil || c.Directory.User(fmt.Sprint("user", good-1)) == nil {
		t.Error("on disk are not the rights of before")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 { // the file, and what says that there is one
		t.Errorf("left on the full disk: %v, %v", names, err)
	}
	// Taking away needs room too, but less.
	if err := f.set(users, "user0", "null"); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if got := f.kept(); got.Directory.User("user0") != nil || got.Directory.User("user1") == nil {
		t.Error("the change after is not on disk")
	}
}
