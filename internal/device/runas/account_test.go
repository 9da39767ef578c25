package runas

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"shvtools/internal/device/policy"
)

func TestLoginShell(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	text := "root:x:0:0:root:/root:/bin/sh\nshort:x:1\neva:x:1000:1000::/home/eva:/nonexistent/shell\nempty:x:1:1::/:\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"root": {"/bin/sh"}, "short": {"/bin/sh"}, "eva": {"/bin/sh", "/nonexistent/shell"}, "empty": {"/bin/sh"},
		"nobody": {"/bin/sh"},
	} {
		if shell, missing := loginShell(file, name); shell != want[0] || missing != want[1] {
			t.Errorf("%s has %q, %q missing, want %q", name, shell, missing, want)
		}
	}
	if shell, missing := loginShell(file+".none", "root"); shell != fallbackShell || missing != "" {
		t.Errorf("without a file: %q, %q", shell, missing)
	}
}

func TestWhatOfAGrantCannotBeHad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limits policy.Limits
		want   []string
	}{
		{policy.Limits{Dir: "/", Shell: "/bin/sh"}, nil},
		{policy.Limits{Dir: "/nonexistent"},
			[]string{"the directory /nonexistent does not exist, so no session can start in it"}},
		{policy.Limits{Shell: "/bin/false"},
			[]string{"the shell /bin/false lets nobody in (want shell: /bin/sh, or another)"}},
		{policy.Limits{Shell: "/etc/passwd"}, []string{"the shell /etc/passwd cannot be run"}},
		{policy.Limits{User: "no-such-user", Dir: "/nonexistent"}, []string{`cannot run as user "no-such-user", ` +
			"as the policy of this device requires: user: unknown user no-such-user"}},
	} {
		if got := Check(&policy.Grant{Limits: tt.limits}); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.limits, got, tt.want)
		}
	}
}
