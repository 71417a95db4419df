#!/bin/sh
# Makes a development CA and a certificate per agent through `warren cert`.
#
#   certs/make-dev-ca.sh [-o DIR] [NAME...]
#
# DIR is this script's folder unless given. Without names, the agents whose `./certs/NAME.crt` the
# YAML files beside DIR read, as in `-o configs/certs`; if there are none, exit, transit, ingress.
# Prints a line for each agent that exports its id, as the peers' files ask for it (EXIT_A_ID for
# exit-a); `eval "$(certs/make-dev-ca.sh)"` exports them all.
#
# The certificates are unrestricted: each agent may originate whatever its file says.
# What exists is kept, so running it again only adds. WARREN names the binary (default: `warren` in
# PATH, else this checkout through cargo).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=$here

usage() {
    echo "usage: $0 [-o DIR] [NAME...]" >&2
    exit 2
}

while getopts o: option; do
    case $option in
        o) out=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))

if [ $# -eq 0 ]; then
    # The names hold no spaces: each becomes an argument.
    # shellcheck disable=SC2046
    set -- $(cat "$(dirname -- "$out")"/*.yaml 2>/dev/null |
        sed -n 's#^ *cert: *\./certs/\([A-Za-z0-9._-]*\)\.crt.*#\1#p' | sort -u)
fi
[ $# -gt 0 ] || set -- exit transit ingress

warren() {
    if [ -n "${WARREN:-}" ]; then
        "$WARREN" "$@"
    elif command -v warren >/dev/null 2>&1; then
        command warren "$@"
    else
        cargo run --quiet --manifest-path "$here/../Cargo.toml" --bin warren -- "$@"
    fi
}

if [ ! -e "$out/ca.crt" ]; then
    warren cert ca -n "warren development" -o "$out" >&2
fi

for name in "$@"; do
    if [ ! -e "$out/$name.crt" ]; then
        warren cert agent -n "$name" --ca "$out" -o "$out" --unrestricted >/dev/null
    fi
    id=$(warren cert info "$out/$name.crt" | sed -n 's/^id: *//p')
    variable=$(printf '%s_ID' "$name" | tr 'a-z' 'A-Z' | tr -c 'A-Z0-9' _)
    printf 'export %s=%s\n' "$variable" "$id"
done
