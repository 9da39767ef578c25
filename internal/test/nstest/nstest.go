// Package nstest gives one test file systems of its own, or another user, without an
// effect on the rest of the machine. Only tests import it.
//
// Its effects hold for the thread of the calling goroutine and for the processes that
// are started from it. They end with that thread, which ends with the test. They do not
// hold for other goroutines that the test starts.
package nstest

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Mounts gives the test a mount namespace, in which its mounts are invisible to others.
// It skips the test where that is not allowed.
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

// Disk mounts a file system of a size, such as "64k", at dir, for this test alone.
func Disk(t testing.TB, dir, size string) {
	t.Helper()
	Mounts(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }) // otherwise the directory cannot be removed
}

// Terminals gives the test an instance of /dev/pts with at most so many terminals.
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

// CrowdedUser makes the thread run as another user, who may not start any process until
// room is called.
func CrowdedUser(t testing.TB) (room func()) {
	t.Helper()
	const uid = 54321 // no account has it
	runtime.LockOSThread()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &was); err != nil {
		t.Fatal(err)
	}
	// The limit is that of the whole process, but root is exempt.
	none := unix.Rlimit{Cur: 0, Max: was.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &none); err != nil {
		t.Fatal(err)
	}
	room = func() { _ = unix.Setrlimit(unix.RLIMIT_NPROC, &was) }
	t.Cleanup(room)
	// syscall.Setresuid would change all threads.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		runtime.UnlockOSThread()
		t.Skipf("to be another user takes root: %v", errno)
	}
	return room
}

// AsUser runs f in a thread of another user, who needs no account. It waits for f. A socket that f
// listens on is that user's for as long as it is open.
func AsUser(t testing.TB, uid int, f func()) {
	t.Helper()
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			ended <- errno
			return
		}
		f()
		ended <- nil
	}()
	if err := <-ended; err != nil {
		t.Skipf("to be another user takes root: %v", err)
	}
}
