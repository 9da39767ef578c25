#!/usr/bin/env bash
# Builds the four programs of the last release from git's history, once, and prints the
# directory where they are. scripts/last-release names its version and commit.
set -euo pipefail
cd "$(dirname "$0")/.."

read -r version commit <scripts/last-release
bin=$PWD/tmp/release-$version-${commit::12}

if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
  echo "last-release.sh: commit $commit of release $version is not in this clone;" \
    "fetch the whole history (git fetch --unshallow), or clone without --depth" >&2
  exit 1
fi

if [ ! -d "$bin" ]; then
  mkdir -p tmp
  work=$(mktemp -d "$PWD/tmp/release-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/src" "$work/bin"
  git archive "$commit" | tar -x -C "$work/src"
  # 1.0.0 has the package cliapp elsewhere.
  ldflags="-s -w"
  for cliapp in cliapp sys/cliapp; do
    ldflags+=" -X shvtools/internal/$cliapp.commit=${commit::12}"
  done
  (
    cd "$work/src"
    CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "$ldflags" -o "$work/bin/" \
      ./cmd/shvbroker ./cmd/shvagent ./cmd/shvrexec ./cmd/shvrsh
  ) >&2
  # Users that a device is made to run as start shvrexec from there.
  chmod 755 "$work/bin"
  mv -T "$work/bin" "$bin" # at once, so that an interrupted build leaves nothing
fi
echo "$bin"
