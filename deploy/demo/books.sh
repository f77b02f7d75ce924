# Reads the services' books and compares them with what they should say. Sourced by the scripts here.

if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

title() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
say() { printf '%s\n' "$1"; }

declare -A KEPT_BY=([stock]=inventory [accounts]=payment [orders]=order [points]=loyalty [rides]=ride
    [flights]=flight [hotels]=hotel [mails]=mail)
declare -A BOOKS=() BOOKS_BEFORE=()

# read_the_books: takes down what every service says now.
read_the_books() {
    local book
    for book in "${!KEPT_BY[@]}"; do
        [[ -z ${URL[${KEPT_BY[$book]}]:-} ]] ||
            BOOKS[$book]=$(command curl --silent --show-error --max-time 300 "${URL[${KEPT_BY[$book]}]}/$book")
    done
}

# remember_the_books: what they say before anything happens.
remember_the_books() {
    local book
    read_the_books
    for book in "${!BOOKS[@]}"; do
        BOOKS_BEFORE[$book]=${BOOKS[$book]}
    done
}

# entry JSON KEY FIELD: a number in the row of that key; nothing written is zero.
entry() {
    local number
    number=$(sed 's/},{/}\n{/g' <<<"$1" | { grep ":\"$2\"" || true; } |
        sed -nE "s/.*\"$3\":(-?[0-9]+).*/\1/p")
    echo "${number:-0}"
}

# orders_that_are STATUS JSON PREFIX: how many orders of this status have a number that begins so.
orders_that_are() {
    sed 's/},{/}\n{/g' <<<"$2" | grep "\"order\":\"$3" | grep -c "\"status\":\"$1\"" || true
}

# The sums that are off.
wrong=0

# line WHAT BEFORE NOW SHOULD: a line of the table. What is off is marked and counted.
line() {
    local mark=''
    if [[ $3 != "$4" ]]; then
        mark="  <-- off by $(($3 - $4))"
        wrong=$((wrong + 1))
    fi
    printf '  %-22s %10s %10s %10s%s\n' "$1" "$2" "$3" "$4" "$mark"
}

# sum WHAT BOOK KEY FIELD CHANGE: a number, and by how much it should have changed.
sum() {
    local before now
    before=$(entry "${BOOKS_BEFORE[$2]}" "$3" "$4")
    now=$(entry "${BOOKS[$2]}" "$3" "$4")
    line "$1" "$before" "$now" $((before + $5))
}

heading() { printf '  %-22s %10s %10s %10s\n' '' before now 'should be'; }
