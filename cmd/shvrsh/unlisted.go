package main

import (
	"strings"

	"shvtools/internal/shell/config"
)

// unlisted returns the name that the user gave if it can be the name of a host and the
// configuration has no such host, so that errors can say so; otherwise "".
func unlisted(alias string, host *config.Host) string {
	if strings.ContainsAny(alias, "/%") {
		return ""
	}
	for _, setting := range host.Settings() {
		if setting.Source.Entry != "" {
			return ""
		}
	}
	return alias
}
