#!/usr/bin/env bash
# Tests today's programs in all mixtures with those of the last release.
set -euo pipefail
cd "$(dirname "$0")/.."

SHV_RELEASE_BIN=$(scripts/last-release.sh)
export SHV_RELEASE_BIN
exec go test -count=1 -run 'LastRelease' ./internal/test/e2e
