package cliapp

import (
	"regexp"
	"runtime/debug"
	"testing"
)

func TestCommitComesFromTheLinkerThenTheBuild(t *testing.T) {
	build := func(settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return info
	}
	const revision = "0123456789abcdef0123456789abcdef01234567"
	for _, tt := range []struct {
		name   string
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		{"linked wins", "abc1234-dirty", build("vcs.revision", revision), "abc1234-dirty"},
		{"build", "", build("vcs.revision", revision, "vcs.modified", "false"), "0123456789ab"},
		{"modified", "", build("vcs.modified", "true", "vcs.revision", revision), "0123456789ab-dirty"},
		{"no repository", "", build("CGO_ENABLED", "0"), "unknown"},
		{"no build info", "", nil, "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := commitText(tt.linked, tt.info); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVersionTextHasItsForm(t *testing.T) {
	form := regexp.MustCompile(`^shvrsh \d+\.\d+\.\d+(-dev)? \(commit (unknown|[0-9a-f]{7,40}(-dirty)?), go\d+\.\d+\S*\)$`)
	if got := versionText("shvrsh"); !form.MatchString(got) {
		t.Errorf("got %q, want %s", got, form)
	}
}
