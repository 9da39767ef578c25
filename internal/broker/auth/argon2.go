package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Bounds of a hash that is read, so that no login can overload the machine: with
// maxHashing they bound the memory of all logins. Memory is in KiB.
const (
	maxArgonMemory  = 128 << 10
	maxArgonTime    = 16
	maxArgonThreads = 16
	maxArgonText    = 256
	minArgonSalt    = 8
	minArgonKey     = 16
)

// Parameters of HashPassword: OWASP's first choice for argon2id of 2023.
const (
	argonMemory  = 19 << 10
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// argon is a parsed argon2id hash.
type argon struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

var errArgon = errors.New("not an argon2id hash (want $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH)")

// parseArgon2 reads a PHC string. Errors do not repeat it.
func parseArgon2(text string) (argon, error) {
	fields := strings.Split(text, "$")
	if len(text) > maxArgonText || len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" {
		return argon{}, errArgon
	}
	if fields[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return argon{}, fmt.Errorf("an argon2id hash of another version (want v=%d)", argon2.Version)
	}
	var a argon
	params := strings.Split(fields[3], ",")
	if len(params) != 3 {
		return argon{}, errArgon
	}
	var numbers [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(params[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || n == 0 {
			return argon{}, errArgon
		}
		numbers[i] = n
	}
	if numbers[0] > maxArgonMemory || numbers[1] > maxArgonTime || numbers[2] > maxArgonThreads {
		return argon{}, fmt.Errorf("an argon2id hash that takes too much (want at most m=%d, t=%d, p=%d)", maxArgonMemory,
			maxArgonTime, maxArgonThreads)
	}
	a.memory, a.time, a.threads = uint32(numbers[0]), uint32(numbers[1]), uint8(numbers[2])
	var errs [2]error
	a.salt, errs[0] = base64.RawStdEncoding.DecodeString(fields[4])
	a.key, errs[1] = base64.RawStdEncoding.DecodeString(fields[5])
	if errors.Join(errs[:]...) != nil || len(a.salt) < minArgonSalt || len(a.key) < minArgonKey {
		return argon{}, errArgon
	}
	return a, nil
}

func (a argon) derive(password string) []byte {
	return argon2.IDKey([]byte(password), a.salt, a.time, a.memory, a.threads, uint32(len(a.key)))
}

func (a argon) String() string {
	code := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.memory, a.time, a.threads, code(a.salt),
		code(a.key))
}

// HashPassword returns an argon2id hash with a random salt. It takes 19 MiB and some tens
// of milliseconds.
func HashPassword(password string) string {
	a := argon{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, argonSalt),
		key: make([]byte, argonKey)}
	_, _ = rand.Read(a.salt) // it never fails
	a.key = a.derive(password)
	return a.String()
}
