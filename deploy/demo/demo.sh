#!/usr/bin/env bash
# Tells in twelve scenes what becomes of a transaction when all goes well, and when it does not.
# Every curl line is shown as it is run, and can be repeated from another terminal.

source "$(dirname "${BASH_SOURCE[0]}")/services.sh"
source deploy/demo/books.sh
source deploy/demo/sale.sh
source deploy/demo/trip.sh
source deploy/demo/languages.sh

# Nothing here waits for ever, but a busy machine may be slow.
curl() { command curl --silent --show-error --max-time 300 "$@"; }

# ask COMMAND: shows a command, runs that very text and shows the answer. ANSWER keeps it whole.
ask() {
    printf '%s$ %s%s\n' "$dim" "$1" "$plain"
    ANSWER=$(eval "$1") || die "this command failed"
    trimmed <<<"$ANSWER"
}

# Leaves out of a transaction what is null, false or a time, and gives each branch a line.
trimmed() {
    sed -E \
        -e 's/"[a-z_]+":(null|false|"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*")//g' \
        -e 's/"(instance|pattern|participant)":"[^"]*"//g' \
        -e 's/,(,+)/,/g; s/\{,+/{/g; s/,+\}/}/g' \
        -e 's/([[,])(\{"id":)/\1\n    \2/g' \
        -e 's/^/  /'
}

# expect WORD WHAT: the last answer contains the word, or the demo has failed.
expect() { [[ $ANSWER == *"$1"* ]] || die "expected $2"; }

# status: of the transaction in the last answer, whose branches come after it.
status() {
    [[ $ANSWER =~ \"status\":\"([a-z]+)\" ]] || return 0
    echo "${BASH_REMATCH[1]}"
}

# while_it_is PATTERN GID WAIT: a machine may be too busy for one wait, so ask again for as long as it takes.
while_it_is() {
    local waits
    for ((waits = 0; waits < 10; waits++)); do
        [[ $(status) =~ ^($1)$ ]] || return 0
        ask "curl -s '${URL[coordinator]}/v1/transactions/$2?wait=$3&wait_ms=60000'"
    done
}

# expect_decided STATUS GID: it is decided, and stands so.
expect_decided() {
    while_it_is trying "$2" decided
    [[ $(status) == "$1" ]] || die "expected $2 to be $1"
}

# expect_finished STATUS GID: this is how it ends.
expect_finished() {
    while_it_is 'trying|confirming|cancelling' "$2" finished
    [[ $(status) == "$1" ]] || die "expected $2 to be $1"
}

begin() {
    ask "curl -s '${URL[coordinator]}/v1/transactions${3:-}' -H 'content-type: application/json' -d '$(order_body "$1" "$2")'"
}

mischief() {
    ask "curl -s ${URL[$1]}/mischief -H 'content-type: application/json' -d '$2'"
}

check_tools
build
start_all
build_languages
remember_the_books
say "Running: coordinator ${URL[coordinator]}, order ${URL[order]}, inventory ${URL[inventory]}, payment ${URL[payment]},"
say "         ride ${URL[ride]}${URL[loyalty]:+, loyalty ${URL[loyalty]} (this one in Python)}"

title "1  An order that confirms"
say "Three services reserve in parallel (Try); all could, so all are told to take it (Confirm)."
begin order-1 2
expect_finished confirmed order-1

title "2  Stock refuses"
say "Twenty pieces are not there: whoever had reserved is told to release (Cancel), and the answer says why."
begin order-2 20
expect_finished cancelled order-2
expect 'out-of-stock' "the reason"

title "3  Payment dies before Confirm"
say "The decision is durable, so it stands: the transaction is confirming until payment is back."
mischief payment '{"die_at":"confirm"}'
begin order-3 2 '?wait=decided'
expect_decided confirming order-3
until_true 120 is_gone payment || die "payment should have died"
say "payment is dead, and nothing is lost:"
ask "curl -s ${URL[coordinator]}/v1/transactions/order-3"
expect_decided confirming order-3
start payment
say "payment is back."
ask "curl -s '${URL[coordinator]}/v1/transactions/order-3?wait=finished&wait_ms=40000'"
expect_finished confirmed order-3

title "4  The coordinator is killed between decision and Confirm"
# So slow that no call outlasts the coordinator's patience: however busy this machine is, it dies before.
say "All three are made slow to confirm; kill -9 strikes while they still hold their reservations."
all_three="${URL[order]} ${URL[inventory]} ${URL[payment]}"
ask "for url in $all_three; do curl -s \$url/mischief -H 'content-type: application/json' -d '{\"slow_ms\":{\"confirm\":60000}}'; echo; done"
begin order-4 2 '?wait=decided'
expect_decided confirming order-4
kill_hard coordinator
say "The coordinator is dead. Payment still holds the money:"
ask "curl -s ${URL[payment]}/accounts"
expect '"frozen":8400' "frozen money"
ask "for url in $all_three; do curl -s \$url/mischief -H 'content-type: application/json' -d '{}'; echo; done" >/dev/null
start coordinator
say "It is back on the same file (and the participants are quick again): it goes on where it was."
ask "curl -s '${URL[coordinator]}/v1/transactions/order-4?wait=finished&wait_ms=40000'"
expect_finished confirmed order-4

title "5  An initiator that vanishes"
say "It opens a transaction, registers two branches, and is never heard of again. The deadline cleans up."
# vanish GID TIMEOUT_MS: whether both branches hold their reservations before the deadline comes.
vanish() {
    local tried='"status":"tried"'
    ask "curl -s ${URL[coordinator]}/v1/transactions -H 'content-type: application/json' -d '{\"gid\":\"$1\",\"open\":true,\"timeout_ms\":$2}'"
    ask "curl -s ${URL[coordinator]}/v1/transactions/$1/branches -H 'content-type: application/json' -d '{\"id\":\"inventory\",\"endpoint\":\"${URL[inventory]}/inventory\",\"payload\":{\"sku\":\"A1\",\"quantity\":3}}'"
    [[ $ANSWER == *"$tried"* ]] || return 1
    ask "curl -s ${URL[coordinator]}/v1/transactions/$1/branches -H 'content-type: application/json' -d '{\"id\":\"payment\",\"endpoint\":\"${URL[payment]}/payment\",\"payload\":{\"account\":\"alice\",\"amount\":12600}}'"
    [[ $ANSWER == *"$tried"* ]] || return 1
    ask "curl -s ${URL[inventory]}/stock"
    [[ $ANSWER == *'"reserved":3'* ]]
}
gone=order-5 timeout_ms=3000
until vanish "$gone" "$timeout_ms"; do
    ((timeout_ms < 300000)) || die "expected two branches that are tried, and reserved stock"
    say "(This machine is busy: the deadline came first. Once more, with four times as long.)"
    until_all_is_finished
    gone=$gone-again timeout_ms=$((timeout_ms * 4))
done
ask "curl -s '${URL[coordinator]}/v1/transactions/$gone?wait=finished&wait_ms=60000'"
expect_finished cancelled "$gone"
expect '"reason":"deadline"' "the deadline as reason"

title "6  Four seats, a hundred takers"
say "Each booking is an open transaction of the ride service: a seat, then the money, then confirm."
book() {
    curl "${URL[ride]}/rides/airport/book" -H 'content-type: application/json' \
        -d "{\"booking\":\"$1\",\"account\":\"crowd\"}" >"$DIR/booking-$1"
}
say "\$ curl -s ${URL[ride]}/rides/airport/book -H 'content-type: application/json' -d '{\"booking\":\"1\",\"account\":\"crowd\"}'   (and 2, 3, ... 100, all at once)"
takers=()
for taker in {1..100}; do
    book "$taker" &
    takers+=($!)
done
# One who hung up is none the worse for it: what became of each booking, the books say.
wait "${takers[@]}" || true
cat "$DIR"/booking-* | grep -o '"status":"[a-z]*"\|"detail":"[^"]*"' | sort | uniq -c
until_all_is_finished
ask "curl -s ${URL[ride]}/rides"
while [[ $ANSWER != *'"ride":"airport","price":1200,"free":0,'* ]]; do
    ((++taker <= 200)) || die "expected somebody to take the seats that are left"
    say "(A booking took longer than it may on this busy machine and gave its seat back: here is taker $taker.)"
    book "$taker" || true
    until_all_is_finished
    ask "curl -s ${URL[ride]}/rides"
done
expect '"free":0,"held":0,"booked":4' "four seats booked and none held"

start_trip
say "Running, too: flight ${URL[flight]}, hotel ${URL[hotel]}, mail ${URL[mail]}, agency ${URL[agency]}"

title "7  A trip: one step builds on another"
trip_goes_through

title "8  Payment refuses: undone in reverse"
trip_is_undone

title "9  The coordinator is killed between two steps"
trip_outlives_the_coordinator

title "10  An initiator that dies after its own commit"
trip_is_asked_for

sale_scene "11  A flash sale through a bad network" --until-sold 1000
until_all_is_finished
wait_for_proxies 60

languages_scene "12  Five languages, one transaction"
until_all_is_finished

title "The books"
read_the_books
heading
sum 'A1 available'   stock A1 available       "-2 * 3 - BILLS"
sum 'A1 reserved'    stock A1 reserved        0
sum 'alice balance'  accounts alice balance   "-8400 * 3 - 21000 * 2"
sum 'alice frozen'   accounts alice frozen    0
line 'orders placed' 0 "$(orders_that_are placed "${BOOKS[orders]}" order-)" 3
line 'orders void' 0 "$(orders_that_are void "${BOOKS[orders]}" order-)" 1
line 'orders pending' 0 "$(orders_that_are pending "${BOOKS[orders]}" order-)" 0
sum 'seats booked'   rides airport booked     4
sum 'seats held'     rides airport held       0
sums_of_the_trips
sum_of_the_sale $((4 * 1200))
line 'pieces of B2 sold' 0 "$(sold)" 1000
((wrong == 0)) || die "the books do not agree"
echo
say "Every piece and seat that was sold is paid for, and nothing else is; nothing is reserved, held or frozen."
