package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseSize reads a number of bytes as users write it: 65536, 64k, 4M, 1G or
// 1GiB, each step 1024 times the one before.
func ParseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "kKMGiB")
	unit := map[string]int64{"": 1, "B": 1, "k": 1 << 10, "K": 1 << 10, "KiB": 1 << 10, "M": 1 << 20, "MiB": 1 << 20, "G": 1 << 30, "GiB": 1 << 30}[text[len(digits):]]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || unit == 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is no size such as 65536, 64k, 4M or 1G", text)
	}
	return n * unit, nil
}
