#!/usr/bin/env bash
# Measures the programs; scripts/bench says what and beside which references.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./scripts/bench "$@"
