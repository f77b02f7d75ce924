#!/usr/bin/env bash
# Tells in seven scenes what becomes of a transaction when all goes well, and when it does not.
# Every curl line is shown as it is run, and can be repeated from another terminal.

source "$(dirname "${BASH_SOURCE[0]}")/services.sh"
source deploy/demo/books.sh
source deploy/demo/sale.sh

# Nothing here waits for ever.
curl() { command curl --silent --show-error --max-time 60 "$@"; }

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

begin() {
    ask "curl -s '${URL[coordinator]}/v1/transactions${3:-}' -H 'content-type: application/json' -d '$(order_body "$1" "$2")'"
}

mischief() {
    ask "curl -s ${URL[$1]}/mischief -H 'content-type: application/json' -d '$2'"
}

check_tools
build
start_all
remember_the_books
say "Running: coordinator ${URL[coordinator]}, order ${URL[order]}, inventory ${URL[inventory]}, payment ${URL[payment]},"
say "         ride ${URL[ride]}${URL[loyalty]:+, loyalty ${URL[loyalty]} (this one in Python)}"

title "1  An order that confirms"
say "Three services reserve in parallel (Try); all could, so all are told to take it (Confirm)."
begin order-1 2
expect '"status":"confirmed"' "a confirmed transaction"

title "2  Stock refuses"
say "Twenty pieces are not there: whoever had reserved is told to release (Cancel), and the answer says why."
begin order-2 20
expect '"status":"cancelled"' "a cancelled transaction"
expect 'out-of-stock' "the reason"

title "3  Payment dies before Confirm"
say "The decision is durable, so it stands: the transaction is confirming until payment is back."
mischief payment '{"die_at":"confirm"}'
begin order-3 2 '?wait=decided'
expect '"status":"confirming"' "a transaction that is confirming"
until_true 10 is_gone payment || die "payment should have died"
say "payment is dead, and nothing is lost:"
ask "curl -s ${URL[coordinator]}/v1/transactions/order-3"
expect '"status":"confirming"' "a transaction that is confirming"
start payment
say "payment is back."
ask "curl -s '${URL[coordinator]}/v1/transactions/order-3?wait=finished&wait_ms=40000'"
expect '"status":"confirmed"' "a confirmed transaction"

title "4  The coordinator is killed between decision and Confirm"
say "All three are made slow to confirm; kill -9 strikes while they still hold their reservations."
all_three="${URL[order]} ${URL[inventory]} ${URL[payment]}"
ask "for url in $all_three; do curl -s \$url/mischief -H 'content-type: application/json' -d '{\"slow_ms\":{\"confirm\":3000}}'; echo; done"
begin order-4 2 '?wait=decided'
expect '"status":"confirming"' "a transaction that is confirming"
kill_hard coordinator
say "The coordinator is dead. Payment still holds the money:"
ask "curl -s ${URL[payment]}/accounts"
expect '"frozen":8400' "frozen money"
ask "for url in $all_three; do curl -s \$url/mischief -H 'content-type: application/json' -d '{}'; echo; done" >/dev/null
start coordinator
say "It is back on the same file (and the participants are quick again): it goes on where it was."
ask "curl -s '${URL[coordinator]}/v1/transactions/order-4?wait=finished&wait_ms=40000'"
expect '"status":"confirmed"' "a confirmed transaction"

title "5  An initiator that vanishes"
say "It opens a transaction, registers two branches, and is never heard of again. The deadline cleans up."
ask "curl -s ${URL[coordinator]}/v1/transactions -H 'content-type: application/json' -d '{\"gid\":\"order-5\",\"open\":true,\"timeout_ms\":3000}'"
ask "curl -s ${URL[coordinator]}/v1/transactions/order-5/branches -H 'content-type: application/json' -d '{\"id\":\"inventory\",\"endpoint\":\"${URL[inventory]}/inventory\",\"payload\":{\"sku\":\"A1\",\"quantity\":3}}'"
expect '"status":"tried"' "a branch that is tried"
ask "curl -s ${URL[coordinator]}/v1/transactions/order-5/branches -H 'content-type: application/json' -d '{\"id\":\"payment\",\"endpoint\":\"${URL[payment]}/payment\",\"payload\":{\"account\":\"alice\",\"amount\":12600}}'"
expect '"status":"tried"' "a branch that is tried"
ask "curl -s ${URL[inventory]}/stock"
expect '"reserved":3' "reserved stock"
ask "curl -s '${URL[coordinator]}/v1/transactions/order-5?wait=finished&wait_ms=20000'"
expect '"status":"cancelled"' "a cancelled transaction"
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
wait "${takers[@]}"
cat "$DIR"/booking-* | grep -o '"status":"booked"\|"detail":"[^"]*"' | sort | uniq -c
ask "curl -s ${URL[ride]}/rides"
expect '"free":0,"held":0,"booked":4' "four seats booked and none held"

sale_scene "7  A flash sale through a bad network" 60
wait_for_proxies 20

title "The books"
read_the_books
heading
sum 'A1 available'   stock A1 available       "-2 * 3"
sum 'A1 reserved'    stock A1 reserved        0
sum 'alice balance'  accounts alice balance   "-8400 * 3"
sum 'alice frozen'   accounts alice frozen    0
line 'orders placed' 0 "$(orders_that_are placed "${BOOKS[orders]}" order-)" 3
line 'orders void' 0 "$(orders_that_are void "${BOOKS[orders]}" order-)" 1
line 'orders pending' 0 "$(orders_that_are pending "${BOOKS[orders]}" order-)" 0
sum 'seats booked'   rides airport booked     4
sum 'seats held'     rides airport held       0
sum_of_the_sale $((4 * 1200))
((wrong == 0)) || die "the books do not agree"
echo
say "Every piece and seat that was sold is paid for, and nothing else is; nothing is reserved, held or frozen."
