// Package nstest gives one test what would touch the machine if it were not in a
// namespace: file systems of its own, and another user. It is for tests only.
//
// All of it holds for the thread of the calling goroutine, and for the processes
// that are started from there. The thread ends with the goroutine, that is with
// the test, and all goes with it. Goroutines that the test starts are elsewhere.
package nstest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Mounts lets the test mount what only it sees. It skips the test where that is
// not allowed.
func Mounts(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("a mount namespace takes root, and a system that has them: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Skipf("mounts cannot be kept from the machine: %v", err)
	}
}

// Disk makes dir a file system of so many bytes ("64k"), for the test alone.
func Disk(t testing.TB, dir, size string) {
	t.Helper()
	Mounts(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }) // else it cannot be removed
}

// Terminals gives the test an instance of /dev/pts with room for so many.
func Terminals(t testing.TB, most string) {
	t.Helper()
	Mounts(t)
	err := unix.Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,max="+most)
	if err == nil {
		err = unix.Mount("/dev/pts/ptmx", "/dev/ptmx", "", unix.MS_BIND, "")
	}
	if err != nil {
		t.Skipf("an instance of /dev/pts cannot be mounted: %v", err)
	}
}

// CrowdedUser makes the thread that of another user, who has no process left.
// room gives him some.
func CrowdedUser(t testing.TB) (room func()) {
	t.Helper()
	const uid = 54321 // nobody's
	runtime.LockOSThread()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &was); err != nil {
		t.Fatal(err)
	}
	// Of the process, but root is free of it.
	none := unix.Rlimit{Cur: 0, Max: was.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &none); err != nil {
		t.Fatal(err)
	}
	room = func() { _ = unix.Setrlimit(unix.RLIMIT_NPROC, &was) }
	t.Cleanup(room)
	// Not syscall.Setresuid, which is for all threads.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		runtime.UnlockOSThread()
		t.Skipf("to be another user takes root: %v", errno)
	}
	return room
}
