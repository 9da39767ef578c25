#!/usr/bin/env bash
# units.sh: check the units in scripts/systemd, and that the broker's leaves it little
# that it could harm.
set -euo pipefail
cd "$(dirname "$0")/systemd"
max_exposure=15 # in tenths, as systemd-analyze counts: from 0 to 100

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The programs need not be installed for that.
for unit in *.service *.socket; do
  sed "s,/usr/local/bin/,$work/," "$unit" >"$work/$unit"
  install -m 755 /dev/null "$work/${unit%.*}"
done

# Where systemd is older than the keys of the growing wait, it says so and goes on.
# Whatever else it says is a fault, even where it calls it none.
complaints=$(systemd-analyze verify --man=no "$work"/*.service "$work"/*.socket 2>&1 |
  grep -v "Unknown key.* 'Restart\(Steps\|MaxDelaySec\)'" || true)
if [ -n "$complaints" ]; then
  echo "${complaints//$work\//scripts/systemd/}"
  exit 1
fi
report=$(systemd-analyze security --no-pager --offline=true --threshold=$max_exposure "$work/shvbroker.service" 2>/dev/null) || {
  grep -v '^✓' <<<"$report"
  exit 1
}
tail -n 1 <<<"$report"
