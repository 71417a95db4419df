#!/usr/bin/env bash
# Runs one of the patterns on this host: each agent as if on a host of its own, 127.0.1.N.
#
#   configs/high-availability/try.sh PATTERN [FOLDER]
#
# PATTERN is redundant-transit, multiple-exits, geographic or active-active. The files are those beside
# this script, with other addresses: host names and 0.0.0.0 become the agents' own ones, so that ports
# need no change, and exits reach 127.0.0.0/8 instead of 10.0.0.0/8. Files, certificates, data and a log
# for each agent go to FOLDER (default: a new one under /tmp). Ctrl-C, or SIGTERM, ends it all.
# WARREN names the binary (default: `warren` in PATH).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
pattern=${1:-}
if [ -z "$pattern" ] || [ ! -d "$here/$pattern" ]; then
    echo "usage: $0 redundant-transit|multiple-exits|geographic|active-active [FOLDER]" >&2
    exit 2
fi
export WARREN=${WARREN:-warren}
command -v "$WARREN" >/dev/null || { echo "$WARREN is not in PATH: name it by WARREN=" >&2; exit 1; }
mkdir -p "${2:-/tmp}"
folder=${2:-$(mktemp -d -t "warren-$pattern-XXXX")}

# The password of the patterns that ask for one.
password=try
SOCKS_PASSWORD_HASH=$(printf %s "$password" | "$WARREN" hash)
export SOCKS_PASSWORD_HASH

cp "$here/$pattern"/*.yaml "$folder"
ids=$("$here/../../certs/make-dev-ca.sh" -o "$folder/certs")
eval "$ids"

agents=()
for file in "$here/$pattern"/*.yaml; do
    agents+=("$(basename "$file" .yaml)")
done

# NAME.example.com and NAME.region-a.internal are the address of agent NAME.
addresses=()
for i in "${!agents[@]}"; do
    addresses+=(-e "s/\"${agents[i]}\.[a-z.-]*:/\"127.0.1.$((i + 1)):/")
done
for i in "${!agents[@]}"; do
    own=127.0.1.$((i + 1))
    # There is no 10.0.0.0/8 here, so neither its name server nor a check of it.
    sed -i "${addresses[@]}" \
        -e "s/0\.0\.0\.0:/$own:/" -e "s/127\.0\.0\.1:1080/$own:1080/" \
        -e "s#\./data#./data/${agents[i]}#" -e 's#"10\.0\.0\.0/8"#"127.0.0.0/8"#' \
        -e '/^  dns:/,/10\.0\.0\.1:53/d' -e '/^  # No answer/,/10\.0\.0\.1:53/d' \
        "$folder/${agents[i]}.yaml"
done

pids=()
finish() {
    trap - EXIT INT TERM
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    exit "$1"
}
trap 'finish 1' EXIT
trap 'finish 0' INT TERM
echo "files and logs: $folder"
echo
printf '%-16s %-10s %s\n' AGENT ADDRESS PID
for i in "${!agents[@]}"; do
    # Whatever becomes of this script, no agent is left behind.
    setpriv --pdeathsig TERM "$WARREN" run -c "$folder/${agents[i]}.yaml" 2>"$folder/${agents[i]}.log" &
    pids+=($!)
    printf '%-16s %-10s %s\n' "${agents[i]}" "127.0.1.$((i + 1))" "$!"
done
# One that cannot start, because its ports are taken, says so at once.
sleep 1
for i in "${!agents[@]}"; do
    kill -0 "${pids[i]}" 2>/dev/null || { echo "${agents[i]} ended:"; tail -n 1 "$folder/${agents[i]}.log"; exit 1; } >&2
done
echo
# An exit does not dial its own ports: what is fetched through it here is the ingress's.
echo "Ports: SOCKS5 1080, HTTP 8080, links 4433. Try:"
echo
for i in "${!agents[@]}"; do
    grep -q '^socks5:' "$folder/${agents[i]}.yaml" || continue
    own=127.0.1.$((i + 1)) login=
    ! grep -q 'username: clients' "$folder/${agents[i]}.yaml" || login="-U clients:$password "
    echo "   warren explain 127.0.0.1 --api http://$own:8080"
    echo "   curl -x socks5h://$own:1080 ${login}http://$own:8080/health"
done
echo "   kill -9 PID"
echo
echo "Ctrl-C ends all."
wait
