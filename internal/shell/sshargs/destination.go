package sshargs

import (
	"errors"
	"fmt"
	"strings"

	"shvtools/internal/shv/shvpath"
)

// splitDestination cuts "user@" off. The user ends at the last @ before the first slash
// in either spelling, since users may be mail addresses and paths may hold an @ after a
// slash. A path with an @ in its first name is written with a leading slash.
func splitDestination(text string) (user, alias string, err error) {
	alias = text
	head := text[:firstSlash(text)]
	if at := strings.LastIndexByte(head, '@'); at >= 0 {
		if user, alias = text[:at], text[at+1:]; user == "" {
			return "", "", fmt.Errorf("destination %q: no user before the @", text)
		}
	}
	switch {
	case strings.Contains(alias, "://"):
		// The text may hold a password, so it is not repeated.
		return "", "", errors.New("the destination is a URL; give the broker's URL with --url, " +
			"and PATH as an SHV path such as test/agent")
	case DecodePath(alias) == "":
		return "", "", errNoPath
	}
	return user, alias, nil
}

func firstSlash(text string) int {
	end := len(text)
	for _, slash := range []string{"/", "%2F", "%2f"} {
		if i := strings.Index(text, slash); i >= 0 {
			end = min(end, i)
		}
	}
	return end
}

var decoder = strings.NewReplacer("%2F", "/", "%2f", "/", "%25", "%")

// DecodePath turns a destination into a clean SHV path. scp, rsync and git take
// "test/agent:" for a local file, so %2F stands for a slash, and %25 for the percent
// sign of a name that really holds "%2F". Any other percent sign means itself.
func DecodePath(text string) string {
	return string(shvpath.Clean([]byte(decoder.Replace(text))))
}
