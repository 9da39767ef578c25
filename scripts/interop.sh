#!/usr/bin/env bash
# Tests the programs with pyshv and shvcli, and writes docs/interop.md from the
# results. `interop.sh venv` only makes the virtual environment that they live in.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$PWD/tmp/interop-venv
wanted=scripts/interop/requirements.txt

# The copy of what was installed comes last, so that half of it is done again.
if ! cmp -s "$wanted" "$venv/installed.txt"; then
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$wanted"
  cp "$wanted" "$venv/installed.txt"
fi
[ "${1-}" != venv ] || exit 0

SHV_INTEROP_COMMIT=$(scripts/commit.sh)
export SHV_INTEROP_COMMIT SHV_INTEROP_VENV=$venv SHV_INTEROP_TABLE=$PWD/docs/interop.md
go test -count=1 ./internal/test/interop
exec go test -count=1 -run 'InBand|ForeignTrees' ./internal/test/e2e
