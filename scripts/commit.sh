#!/usr/bin/env bash
# Prints the commit that the working tree stands on, with -dirty when something in
# it differs, or "unknown" outside a repository of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

# An unpacked source archive may lie within somebody else's repository.
if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ] &&
  commit=$(git rev-parse --short=12 --verify HEAD 2>/dev/null); then
  [ -z "$(git status --porcelain)" ] || commit+=-dirty
  echo "$commit"
else
  echo unknown
fi
