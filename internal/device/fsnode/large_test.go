package fsnode_test

import (
	"os"
	"testing"
)

// Where an int or a file offset has 32 bits, a file above 2 GiB does not open, or its end is
// taken for a place before its begin. The file is sparse.
func TestFileAbove2GiBIsServedWhole(t *testing.T) {
	e := newExport(t)
	const size = 5_000_000_000
	e.write("large", "begin")
	if err := os.Truncate(e.path("large"), size); err != nil {
		t.Skipf("no sparse file of 5 GB: %v", err)
	}
	e.check([][4]string{
		{"large", "size", "null", "5000000000"},
		{"large", "read", "[0,5]", `b"begin"`},
		{"large", "write", "[4999999998,b\"end\"]", "null"},
		{"large", "size", "null", "5000000001"},
		{"large", "read", "[4999999998,100]", `b"end"`},
		{"large", "append", `b"s"`, "null"},
		{"large", "read", "[4999999998,100]", `b"ends"`},
		{"large", "truncate", "4294967296", "null"},
		{"large", "size", "null", "4294967296"},
		{"large", "read", "[4294967290,100]", `b"\00\00\00\00\00\00"`},
		{"large", "truncate", "5", "null"},
		{"large", "read", "null", `<"fileName":"large","offset":0,"size":5>b"begin"`},
	})
}
