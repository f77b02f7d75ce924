#!/usr/bin/env bash
# Shows the boards with live data: the demo under load for a few minutes, in which participants refuse, fail and die, a
# Prometheus that watches it, and pictures of what each board asks in docs/images.
#
#   deploy/grafana/pictures.sh [DIRECTORY]
#
# SECONDS_OF_LOAD says for how long (300). prometheus, matplotlib and Pillow are Debian's packages prometheus and
# python3-matplotlib, installed where they are missing and we are root.

out=$(realpath -m "${1:-$(dirname "${BASH_SOURCE[0]}")/../../docs/images}")
load=${SECONDS_OF_LOAD:-300}
source "$(dirname "${BASH_SOURCE[0]}")/../demo/services.sh"

# Debian's packages are those of Debian's own Python, whichever else comes first.
has_tools() {
    command -v prometheus >/dev/null || return 1
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import matplotlib, PIL' 2>/dev/null && return
    done
    return 1
}
if ! has_tools && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq >/dev/null
    policy=/usr/sbin/policy-rc.d
    [[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 0755 "$policy" && made=yes; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus python3-matplotlib >&2 || true
    [[ -z ${made:-} ]] || rm -f "$policy"
fi
has_tools || die "missing: prometheus, python3-matplotlib (Debian's packages)"

check_tools
build
# So that parked branches show within minutes.
export TERCET_RETRY__PARK_AFTER_MS=10000
start_all
start flight
start hotel
send() { command curl --silent --show-error --output /dev/null --max-time 30 -H 'content-type: application/json' "$@"; }
mischief() { send "${URL[$1]}/mischief" -d "$2"; }

send -X PUT "${URL[coordinator]}/v1/sagas/trip" -d '{"steps":[
  {"id":"flight","action":"'"${URL[flight]}"'/flight/try","compensate":"'"${URL[flight]}"'/flight/cancel","after":[]},
  {"id":"hotel","action":"'"${URL[hotel]}"'/hotel/try","compensate":"'"${URL[hotel]}"'/hotel/cancel","after":["flight"]},
  {"id":"pay","action":"'"${URL[payment]}"'/payment/charge/try","after":["hotel"]}]}'

# Whatever is free; Prometheus takes no port 0.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -e "s|127.0.0.1:7200|${URL[coordinator]#http://}|; s|15s|2s|; s|rules.yml|$PWD/deploy/prometheus/rules.yml|" \
    deploy/prometheus/prometheus.yml >"$DIR/prometheus.yml"
prometheus --config.file="$DIR/prometheus.yml" --storage.tsdb.path="$DIR/prometheus" \
    --web.listen-address="127.0.0.1:$port" --log.level=warn >"$DIR/prometheus.log" 2>&1 &
PID[prometheus]=$!
until_true 60 command curl --silent --fail --output /dev/null "http://127.0.0.1:$port/-/ready" || die "no Prometheus"

start inventory-proxy
python3 deploy/grafana/load.py "${URL[coordinator]}" "${URL[order]}" "${URL[inventory-proxy]}" "${URL[payment]}" &
PID[load]=$!

began=$SECONDS
echo "load for $load s, with trouble in it"
sleep $((load / 5))
mischief hotel '{"refuse":true}'
sleep $((load / 10))
mischief hotel '{}'
mischief payment '{"slow_ms":{"try":40,"confirm":250}}'
sleep $((load / 10))
mischief payment '{"fail_first":30}'
sleep $((load / 10))
kill_hard payment
sleep $((load / 8))
start payment
sleep $((load / 5))

"$python" deploy/grafana/draw.py --prometheus "http://127.0.0.1:$port" --seconds $((SECONDS - began)) --out "$out" deploy/grafana/*.json
