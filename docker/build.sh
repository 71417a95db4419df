#!/usr/bin/env bash
# Builds a static warren and an image that holds nothing else.
#
#   docker/build.sh [IMAGE]            default: warren
#
# glibc is linked in. An agent resolves names itself; what the commands ask of glibc (`--api` with a
# host name) needs 2.34 or newer, which has files and DNS built in and loads nothing at run time.
set -euo pipefail
cd "$(dirname "$0")/.."
image=${1:-warren}
target=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --bin warren --target "$target"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
binary=${CARGO_TARGET_DIR:-target}/$target/release/warren
strip -o "$context/warren" "$binary"
# Empty: what the image's user owns, and new volumes with it.
mkdir "$context/data"
docker build -q -t "$image" -f docker/Dockerfile "$context"
docker image inspect --format 'image '"$image"': {{.Size}} bytes' "$image"
