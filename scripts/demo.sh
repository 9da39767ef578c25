#!/usr/bin/env bash
# Starts a broker and an agent of its own on loopback, opens a shell on the agent
# (without a terminal: runs `uname -a` there), prints the broker's journal of it,
# and cleans up. Its exit code is that of shvrsh, but that of a shell, which is the
# one of whatever ran last in it, counts as 0. `make demo` builds first.
set -euo pipefail
cd "$(dirname "$0")/.."

deadline=10 # seconds for each program to be ready

# The demo is about the defaults, not about the caller's own broker.
unset SHV_URL SHV_USER SHV_PASSWORD SHV_PASSWORD_FILE SHV_LOG_LEVEL SHV_LOG_FORMAT

state=$(mktemp -d "${TMPDIR:-/tmp}/shvdemo.XXXXXX")
broker=
agent=

# end PID ends a child of this script, if it must with KILL.
# shellcheck disable=SC2317 # reached through the trap
end() {
  local tries=50
  kill -TERM "$1" 2>/dev/null || return 0
  while kill -0 "$1" 2>/dev/null && ((tries-- > 0)); do
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# shellcheck disable=SC2317
clean_up() {
  trap '' INT TERM HUP
  [ -z "$agent" ] || end "$agent"
  [ -z "$broker" ] || end "$broker"
  rm -rf "$state"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# fail TEXT LOG
fail() {
  echo "demo: $1" >&2
  sed 's/^/demo:   /' "$2" >&2
  exit 1
}

# await NAME PID FILE LOG waits until FILE is there, which the program NAME writes.
await() {
  local end=$((SECONDS + deadline))
  until [ -s "$3" ]; do
    kill -0 "$2" 2>/dev/null || fail "$1 ended before it was ready:" "$4"
    [ "$SECONDS" -lt "$end" ] || fail "$1 was not ready within $deadline s:" "$4"
    sleep 0.05
  done
}

bin/shvbroker --listen tcp://127.0.0.1:0 --ready-file "$state/broker.ready" \
  --journal "$state/journal" </dev/null >"$state/broker.log" 2>&1 &
broker=$!
await shvbroker "$broker" "$state/broker.ready" "$state/broker.log"
url=$(head -n 1 "$state/broker.ready")

bin/shvagent --url "$url" --mount test/agent --ready-file "$state/agent.ready" \
  </dev/null >"$state/agent.log" 2>&1 &
agent=$!
await shvagent "$agent" "$state/agent.ready" "$state/agent.log"

code=0
if [ -t 0 ] && [ -t 1 ]; then
  echo "demo: a shell on test/agent through the broker at $url; leave it with exit"
  bin/shvrsh --url "$url" test/agent || code=$?
  [ "$code" -eq 255 ] || code=0
else
  echo "demo: uname -a on test/agent through the broker at $url"
  bin/shvrsh --url "$url" test/agent uname -a </dev/null || code=$?
fi

echo
echo "demo: the broker's journal of it (<== from a client, ==> to it)"
cat "$state/journal"
if [ "$code" -ne 0 ]; then
  echo "demo: shvrsh ended with $code; the agent's log:" >&2
  cat "$state/agent.log" >&2
fi
exit "$code"
