package conf_test

import (
	"strings"
	"testing"
	"time"

	"shvtools/internal/sys/conf"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "90s": 90 * time.Second, "1m30s": 90 * time.Second, "1m 30s": 90 * time.Second,
		"1 m 30 s": 90 * time.Second,
		"1m30":     90 * time.Second, "1.5h": 90 * time.Minute, "500ms": time.Second / 2, "1d": 24 * time.Hour,
		"2w3d": 17 * 24 * time.Hour,
		"1M":   time.Minute, "10S": 10 * time.Second, "3us": 3 * time.Microsecond, "3µs": 3 * time.Microsecond,
		".5s": time.Second / 2,
	} {
		got, err := conf.Duration.Of(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if again, err := conf.Duration.Of(conf.Duration.Show(got)); err != nil || again != got {
			t.Errorf("%q is shown as %q, which is %v, %v", text, conf.Duration.Show(got), again, err)
		}
	}
	for _, text := range []string{"", " ", "x", "5x", "s", "-1s", "+1s", "1 30s", "1h 5 30s", "1..5s", ".s", "1s-",
		"999999999999h", "99999999w", "9223372036854775807", "1e3", "0x10", "1µ"} {
		if got, err := conf.Duration.Of(text); err == nil ||
			err.Error() != `invalid duration "`+text+`" (want 90, 90s or 1m30s)` {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h",
		90 * time.Minute:        "1h30m",
		time.Hour + time.Second: "1h0m1s", 20 * time.Second: "20s", time.Millisecond: "1ms", 24 * time.Hour: "24h",
	} {
		if got := conf.Duration.Show(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "65536": 65536, "7B": 7, "64k": 64 << 10, "64K": 64 << 10, "64KiB": 64 << 10, "4M": 4 << 20, "4MiB": 4 << 20,
		"4 MiB": 4 << 20,
		"1G":    1 << 30, "8589934591G": 8589934591 << 30,
	} {
		got, err := conf.Size.Of(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if again, err := conf.Size.Of(conf.Size.Show(got)); err != nil || again != got {
			t.Errorf("%q is shown as %q, which is %d, %v", text, conf.Size.Show(got), again, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "1T", "1.5M", "4MB", "1kM", "M4", "8589934592G", "99999999999999999999",
		" 1", "1 ", "1  k k"} {
		if got, err := conf.Size.Of(text); err == nil || err.Error() != `invalid size "`+text+`" (want 65536, 64k or 64KiB)` {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	if got := conf.Size.Show(1536); got != "1536" {
		t.Error(got)
	}
}

func TestBounds(t *testing.T) {
	between := conf.Between(conf.Duration, time.Second, time.Hour)
	for text, want := range map[string]string{
		"1s": "", "1h": "", "3600": "", "1ms": "duration 1ms is out of range (want 1s to 1h)",
		"61m": "duration 61m is out of range (want 1s to 1h)",
		"x":   `invalid duration "x" (want 90, 90s or 1m30s)`,
	} {
		if _, err := between.Of(text); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzScalars(f *testing.F) {
	for _, text := range []string{"1m30s", "1m 30", "64KiB", "-5", "1w", "9999999999999999999w", "1.5", ". 1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := conf.Duration.Of(text); err == nil {
			if again, err := conf.Duration.Of(conf.Duration.Show(d)); d < 0 || err != nil || again != d {
				t.Errorf("%q: %v, then %v, %v", text, d, again, err)
			}
		}
		if n, err := conf.Size.Of(text); err == nil {
			if again, err := conf.Size.Of(conf.Size.Show(n)); n < 0 || err != nil || again != n {
				t.Errorf("%q: %d, then %d, %v", text, n, again, err)
			}
		}
		if _, err := conf.Pattern.Of(text); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	})
}
