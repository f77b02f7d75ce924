# One transaction over participants in five languages: a scene. Sourced by the demo.
#
# The participants are the examples of the libraries in sdk/; each takes part where its toolchain is.

LANGUAGES=(python go typescript java)
declare -A CALLED=([python]=Python [go]=Go [typescript]=TypeScript [java]=Java)

# build_languages: while the scenes before are played, since the first time takes some minutes.
build_languages() {
    # In a process group of its own, so that all of it can be ended.
    setsid bash -c '
        for language in "${@:2}"; do
            outcome=0
            nice "sdk/$language/serve" --build >"$1/build-$language.log" 2>&1 || outcome=$?
            echo "$outcome" >"$1/$language.built"
        done' - "$DIR" "${LANGUAGES[@]}" &
    BUILDING=$!
}

is_built() { [[ -s $DIR/$1.built ]]; }

# start_wallets: WALLETS are those that could be built.
start_wallets() {
    local language outcome
    WALLETS=()
    for language in "${LANGUAGES[@]}"; do
        is_built "$language" || say "(Building what is written in ${CALLED[$language]}: this once it takes a minute or two.)"
        until_true 900 is_built "$language" || die "sdk/$language/serve --build takes more than a quarter of an hour"
        outcome=$(<"$DIR/$language.built")
        if ((outcome == 0)); then
            start "wallet-$language"
            WALLETS+=("$language")
        elif [[ -n ${CI:-} ]]; then
            die "the wallet in ${CALLED[$language]} cannot be built"
        elif ((outcome == 77)); then
            say "(Left out, since it is not installed here: ${CALLED[$language]}.)"
        else
            say "(Left out, since it cannot be built here: ${CALLED[$language]}. The end of what it says:)"
            tail -n 3 "$DIR/build-$language.log"
        fi
    done
}

# bill_body GID EACH [LANGUAGE AMOUNT]: a piece of A1, paid for out of each wallet; out of one of them with another amount.
bill_body() {
    local language amount
    printf '{ "gid": "%s", "branches": [\n  {"id":"rust", "endpoint":"%s/inventory", "payload":{"sku":"A1","quantity":1}}' "$1" "${URL[inventory]}"
    for language in "${WALLETS[@]}"; do
        amount=$2
        [[ $language != "${3:-}" ]] || amount=$4
        printf ',\n  {"id":"%s", "endpoint":"%s/payment", "payload":{"account":"alice","amount":%d}}' "$language" "${URL[wallet-$language]}" "$amount"
    done
    printf ' ] }\n'
}

# in_wallet LANGUAGE WHAT: alice's balance, or what of it is frozen.
in_wallet() {
    curl "${URL[wallet-$1]}/accounts" | sed -E "s/.*\"alice\"[^}]*\"$2\": ?([0-9]+).*/\1/"
}

pay_the_bill() {
    ask "curl -s '${URL[coordinator]}/v1/transactions' -H 'content-type: application/json' -d '$(bill_body "$@")'"
}

# languages_scene TITLE
languages_scene() {
    local language last
    declare -A before=()
    title "$1"
    start_wallets
    if ((${#WALLETS[@]} == 0)); then
        say "(None of the other languages is installed here.)"
        BILLS=0
        return
    fi
    for language in "${WALLETS[@]}"; do
        before[$language]=$(in_wallet "$language" balance)
        say "${CALLED[$language]}: ${URL[wallet-$language]}, in which alice has ${before[$language]}"
    done
    last=${WALLETS[-1]}
    say "A piece is taken by the inventory, which is written in Rust, and each wallet pays a part of it:"
    pay_the_bill bill-1 1000
    expect_finished confirmed bill-1
    say "Once more; but to the one in ${CALLED[$last]} it is too much, so all the others give back what they had reserved:"
    pay_the_bill bill-2 1000 "$last" 1000000000
    expect_finished cancelled bill-2
    expect '"id":"'"$last"'"' "the branch that refused"
    for language in "${WALLETS[@]}"; do
        [[ $(in_wallet "$language" balance) == $((before[$language] - 1000)) ]] ||
            die "expected 1000 less in the wallet in ${CALLED[$language]}"
        [[ $(in_wallet "$language" frozen) == 0 ]] || die "expected nothing frozen in the wallet in ${CALLED[$language]}"
        say "${CALLED[$language]}: $(curl "${URL[wallet-$language]}/accounts")"
    done
    BILLS=1
}
