#!/usr/bin/env bash
# Tells in five scenes what becomes of a transaction when all goes well, and when it does not.
# Every curl line is shown as it is run, and can be repeated from another terminal.

source "$(dirname "${BASH_SOURCE[0]}")/services.sh"

if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
say() { printf '%s\n' "$1"; }

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

# number NAME JSON: the first number of that name.
number() { grep -o "\"$1\":-\?[0-9]*" <<<"$2" | head -n 1 | cut -d: -f2; }
# count WORD JSON: how often a status occurs.
count() { { grep -o "\"status\":\"$1\"" <<<"$2" || true; } | wc -l; }

# look: reads the books of all three services.
look() {
    local stock accounts
    stock=$(curl "${URL[inventory]}/stock")
    accounts=$(curl "${URL[payment]}/accounts")
    orders=$(curl "${URL[order]}/orders")
    available=$(number available "$stock") reserved=$(number reserved "$stock")
    balance=$(number balance "$accounts") frozen=$(number frozen "$accounts")
    placed=$(count placed "$orders") void=$(count void "$orders") pending=$(count pending "$orders")
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
look
before=("$available" "$reserved" "$balance" "$frozen" "$placed" "$void" "$pending")
say "Running: coordinator ${URL[coordinator]}, order ${URL[order]}, inventory ${URL[inventory]}, payment ${URL[payment]}"

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

look
after=("$available" "$reserved" "$balance" "$frozen" "$placed" "$void" "$pending")
title "The books"
row() { printf '  %-22s %10s %10s\n' "$1" "$2" "$3"; }
row '' before after
names=('A1 available' 'A1 reserved' 'alice balance' 'alice frozen' 'orders placed' 'orders void' 'orders pending')
for i in "${!names[@]}"; do
    row "${names[$i]}" "${before[$i]}" "${after[$i]}"
done

# sum WHAT IS SHOULD: every sum that is off is told, and then the demo has failed.
wrong=0
sum() {
    [[ $2 == "$3" ]] || { echo "WRONG: $1 is $2 and should be $3"; wrong=1; }
}
sum 'orders placed' "$placed" 3
sum 'orders void' "$void" 1
sum 'orders pending' "$pending" 0
sum 'stock available' "$available" $((before[0] - 2 * placed))
sum 'stock reserved' "$reserved" 0
sum 'balance' "$balance" $((before[2] - 8400 * placed))
sum 'money frozen' "$frozen" 0
((wrong == 0)) || die "the books do not agree"
echo
say "Three orders of two pieces were placed and paid for; nothing is reserved, nothing is frozen."
