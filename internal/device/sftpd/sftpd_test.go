package sftpd_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"shvtools/internal/device/sftpd"
)

// served is a client of a server, and how that ended.
func served(t *testing.T) (*sftp.Client, <-chan error) {
	t.Helper()
	toServer, fromClient := io.Pipe()
	toClient, fromServer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- sftpd.Serve(toServer, fromServer)
		_ = fromServer.Close()
	}()
	client, err := sftp.NewClientPipe(toClient, fromClient)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client, ended
}

func TestServe(t *testing.T) {
	t.Parallel()
	client, ended := served(t)
	dir := t.TempDir()
	data := make([]byte, 3_000_000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)

	name := filepath.Join(dir, "a file\n")
	f, err := client.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadFrom(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
	if f, err = client.Open(name); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	_ = f.Close()

	if err := client.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the end of input is an error: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server does not end with its input")
	}
}

// The target of a link is returned as text, not resolved as a path.
func TestLinksStayAsTheyAre(t *testing.T) {
	t.Parallel()
	client, _ := served(t)
	for _, target := range []string{"relative", "../up", "/absolute", "no such\nthing"} {
		link := filepath.Join(t.TempDir(), "link")
		if err := client.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(link); got != target {
			t.Errorf("it shows %q, want %q (%v)", got, target, err)
		}
		if got, err := client.ReadLink(link); got != target {
			t.Errorf("it shows %q, want %q (%v)", got, target, err)
		}
	}
}

func TestRelativePathsBeginAtTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	client, _ := served(t)
	want, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := client.Getwd(); got != want {
		t.Errorf("it begins at %q, want %q (%v)", got, want, err)
	}
	if _, err := client.Stat("sftpd_test.go"); err != nil {
		t.Error(err)
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	client, _ := served(t)
	if _, err := client.Open("/nonexistent/file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := client.Create(t.TempDir()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := client.ReadDir("/etc/passwd"); err == nil {
		t.Error("a file has no entries")
	}
}

// A 32-bit server must not refuse a large file, nor take an offset above 2 GiB for another.
func TestFileAbove2GiBIsReadAndWrittenAtItsEnd(t *testing.T) {
	t.Parallel()
	const end = 5_000_000_000
	name := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, end); err != nil {
		t.Skipf("no sparse file of 5 GB: %v", err)
	}
	client, _ := served(t)
	f, err := client.OpenFile(name, os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.WriteAt([]byte("end"), end-1); n != 3 || err != nil {
		t.Fatalf("%d bytes written, %v", n, err)
	}
	got := make([]byte, 10)
	if n, err := f.ReadAt(got, end-2); string(got[:n]) != "\x00end" || err != io.EOF {
		t.Errorf("read %q, %v", got[:n], err)
	}
	if info, err := client.Stat(name); err != nil || info.Size() != end+2 {
		t.Errorf("%v, %v", info, err)
	}
}
