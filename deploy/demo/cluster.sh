#!/usr/bin/env bash
# Plays three coordinators on one PostgreSQL: any of them serves any request, and one is killed under load.
# `make cluster` runs it with a PostgreSQL that is thrown away.

source "$(dirname "${BASH_SOURCE[0]}")/services.sh"
source deploy/demo/books.sh

: "${TERCET_TEST_POSTGRES_URL:?run it by make cluster, which starts a PostgreSQL}"
NODES=(node-1 node-2 node-3)
BUYERS=4 ORDERS=50

check_tools
build
make_a_token shop client
NODE_DATABASE=$TERCET_TEST_POSTGRES_URL
PARTICIPANTS=(order inventory payment)
for name in "${NODES[@]}" "${PARTICIPANTS[@]}"; do
    start "$name"
done
remember_the_books
say "Running: ${URL[node-1]}, ${URL[node-2]} and ${URL[node-3]} on one PostgreSQL, and three services."

# ask URL BODY: shows a request, sends it, and shows what came. ANSWER keeps it.
ask() {
    printf '%s$ curl -s -K token %s%s%s\n' "$dim" "$1" "${2:+ -H 'content-type: application/json' -d '$2'}" "$plain"
    ANSWER=$(command curl --silent --show-error --max-time 120 "${AUTHORIZATION[@]}" "$1" \
        ${2:+-H 'content-type: application/json' -d "$2"}) || die "this request failed"
    cut -c 1-500 <<<"  $ANSWER"
}
say "Whoever asks shows a token of the role client, which is checked where the request comes in."
expect() { [[ $ANSWER == *"$1"* ]] || die "expected $1"; }

title "1  Begun on one, registered on the second, confirmed on the third"
ask "${URL[node-1]}/v1/transactions" '{"gid":"trip-1","open":true,"timeout_ms":300000}'
ask "${URL[node-2]}/v1/transactions/trip-1/branches" \
    '{"id":"inventory","endpoint":"'"${URL[inventory]}"'/inventory","payload":{"sku":"A1","quantity":2}}'
expect '"status":"tried"'
ask "${URL[node-2]}/v1/transactions/trip-1/branches" \
    '{"id":"payment","endpoint":"'"${URL[payment]}"'/payment","payload":{"account":"alice","amount":8400}}'
expect '"status":"tried"'
ask "${URL[node-3]}/v1/transactions/trip-1/confirm?wait=finished&wait_ms=60000" '{}'
expect '"status":"confirmed"'

title "2  kill -9 of one under load"
say "$BUYERS buyers place $ORDERS orders each, in turns on all three. Who gets no answer asks the next node,"
say "with the same gid. The first node is killed on the way, and is not started again."
# buy BUYER: places orders one after another. A line for each answer that was the last word.
buy() {
    local number node gid answer asked at=$1
    for ((number = 1; number <= ORDERS; number++)); do
        gid=buy-$1-$number
        for ((asked = 0; asked <= 600; asked++)); do
            ((asked < 600)) || return 1
            node=${NODES[$((at++ % ${#NODES[@]}))]}
            answer=$(command curl --silent --max-time 60 "${AUTHORIZATION[@]}" -H 'content-type: application/json' -d "{\"gid\":\"$gid\",\"branches\":[
                {\"id\":\"order\",\"endpoint\":\"${URL[order]}/order\",\"payload\":{\"order\":\"$gid\",\"account\":\"crowd\",\"sku\":\"B2\",\"quantity\":1}},
                {\"id\":\"inventory\",\"endpoint\":\"${URL[inventory]}/inventory\",\"payload\":{\"sku\":\"B2\",\"quantity\":1}},
                {\"id\":\"payment\",\"endpoint\":\"${URL[payment]}/payment\",\"payload\":{\"account\":\"crowd\",\"amount\":1900}}]}" \
                "${URL[$node]}/v1/transactions") || answer=''
            case $answer in
            *'"status":"confirmed"'*) echo "confirmed" && break ;;
            *'"status":"cancelled"'*) echo "cancelled" && break ;;
            *) sleep 0.1 ;;
            esac
        done
    done
}
buyers=()
for ((buyer = 1; buyer <= BUYERS; buyer++)); do
    buy "$buyer" >"$DIR/buyer-$buyer" &
    buyers+=($!)
done
some_have_bought() { (($(cat "$DIR"/buyer-* | wc -l) >= BUYERS * ORDERS / 4)); }
until_true 300 some_have_bought || die "the buyers get no answers"
kill_hard node-1
say "node-1 is dead, after $(cat "$DIR"/buyer-* | wc -l) orders."
for buyer in "${buyers[@]}"; do
    wait "$buyer" || die "a buyer gave up"
done
cat "$DIR"/buyer-* | sort | uniq -c
URL[coordinator]=${URL[node-2]}
until_all_is_finished
ask "${URL[node-3]}/v1/stats"

title "The books"
read_the_books
confirmed=$(cat "$DIR"/buyer-* | grep -c confirmed || true)
heading
sum 'A1 available' stock A1 available -2
sum 'alice balance' accounts alice balance -8400
line 'answers' 0 "$(cat "$DIR"/buyer-* | wc -l)" $((BUYERS * ORDERS))
line 'orders placed' 0 "$(orders_that_are placed "${BOOKS[orders]}" buy-)" "$confirmed"
line 'orders pending' 0 "$(orders_that_are pending "${BOOKS[orders]}" buy-)" 0
sum 'B2 available' stock B2 available -"$confirmed"
sum 'B2 reserved' stock B2 reserved 0
sum 'crowd balance' accounts crowd balance $((-1900 * confirmed))
sum 'crowd frozen' accounts crowd frozen 0
((wrong == 0)) || die "the books do not agree"
echo
say "One node was lost, and no order: every piece that was told to be sold is paid for, and nothing else is."
