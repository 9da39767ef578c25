package config

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "65536": 65536, "7B": 7, "64k": 64 << 10, "64K": 64 << 10, "4M": 4 << 20, "4MiB": 4 << 20, "1G": 1 << 30, "8589934591G": 8589934591 << 30,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "1T", "1.5M", "4MB", "1kM", "M4", "8589934592G", "99999999999999999999", " 1"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: %d", text, got)
		}
	}
}
