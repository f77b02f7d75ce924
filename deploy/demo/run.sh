#!/usr/bin/env bash
# Keeps the coordinator and its participants up to play with, until Ctrl-C.

source "$(dirname "${BASH_SOURCE[0]}")/services.sh"
# Ctrl-C is how this is meant to end.
trap 'echo; exit 0' INT

check_tools
build
start_all

cat <<TEXT

Running until Ctrl-C: coordinator ${URL[coordinator]} (its API is described at /docs)
  order ${URL[order]}   inventory ${URL[inventory]}   payment ${URL[payment]}
  ride ${URL[ride]}${URL[loyalty]:+   loyalty ${URL[loyalty]}}

An order (give each one a gid of its own):
curl -s ${URL[coordinator]}/v1/transactions -H 'content-type: application/json' -d '$(order_body order-1 2)'

How it stands, and what it did:
curl -s ${URL[coordinator]}/v1/transactions/order-1
curl -s ${URL[inventory]}/stock; curl -s ${URL[payment]}/accounts; curl -s ${URL[order]}/orders

A seat, by an open transaction of the ride service (give each booking a number of its own):
curl -s ${URL[ride]}/rides/airport/book -H 'content-type: application/json' -d '{"booking":"1","account":"alice"}'
curl -s ${URL[ride]}/rides

Make trouble (what is not named is off; '{}' ends it), then order again:
curl -s ${URL[inventory]}/mischief -H 'content-type: application/json' -d '{"refuse":true}'
curl -s ${URL[inventory]}/mischief -H 'content-type: application/json' -d '{"fail_first":2}'
curl -s ${URL[payment]}/mischief -H 'content-type: application/json' -d '{"slow_ms":{"try":2000}}'
curl -s ${URL[payment]}/mischief -H 'content-type: application/json' -d '{"forget_answer":"confirm"}'
curl -s ${URL[payment]}/mischief -H 'content-type: application/json' -d '{"die_at":"confirm"}'

Bring payment back after it died:
$BIN_DIR/tercet-demo payment --listen ${URL[payment]#http://} --db $DIR/payment.db

Files and logs, until Ctrl-C: $DIR
TEXT

wait "${PID[coordinator]}" || die "the coordinator ended"
