#!/bin/bash
# Builds the shvbroker of crates.io, which takes minutes, and prints its path:
#   SHV_INTEROP_RUST_BROKER=$(scripts/rust-broker.sh) make test-long
# runs sessions in band through it. It is built once; DIR says where it goes.
#   scripts/rust-broker.sh [DIR]
set -euo pipefail

version=3.33.0
root=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/shvtools/rust-broker-$version}

if [ ! -x "$root/bin/shvbroker" ]; then
	# Its libraries use a function that the compiler here (1.95) does not call stable yet.
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zcrate-attr=feature(result_option_map_or_default)' \
		nice -n 19 cargo install shvbroker --version "$version" --root "$root" >&2
fi
echo "$root/bin/shvbroker"
