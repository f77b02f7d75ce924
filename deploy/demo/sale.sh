# The flash sale: 3 000 orders or more for 1 000 pieces, with a proxy between the coordinator and each
# participant. Sourced by the scripts here.

# sale_scene TITLE OPTION...: starts the proxies and runs the sale with these options.
sale_scene() {
    local name endpoints=() began=$SECONDS
    title "$1"
    shift
    say "3 000 orders for the 1 000 pieces of B2 (19.00 apiece). In front of each participant stands a proxy"
    say "that doubles, delays or reorders a tenth of all calls, or loses their answers."
    for name in "${PARTICIPANTS[@]}"; do
        start "$name-proxy"
        endpoints+=("--$name" "${URL[$name-proxy]}/$name")
    done
    say "${dim}\$ tercet-demo sale --coordinator ${URL[coordinator]} ${endpoints[*]} $*${plain}"
    "$BIN_DIR/tercet-demo" sale --coordinator "${URL[coordinator]}" "${endpoints[@]}" "$@" \
        2>"$DIR/sale.log" | tee "$DIR/sale.out" || die "the sale broke off"
    say "That took $((SECONDS - began)) s."
}

# wait_for_proxies SECONDS: until every call that was held back is delivered; then tells their counts.
wait_for_proxies() {
    local name
    all_delivered() {
        for name in "${PARTICIPANTS[@]}"; do
            [[ $(command curl --silent --max-time 10 "${URL[$name-proxy]}/counts") == *'"under_way":0}'* ]] || return 1
        done
    }
    until_true "$1" all_delivered || say "(some calls are still on their way)"
    for name in "${PARTICIPANTS[@]}"; do
        kill "${PID[$name-proxy]}"
        wait "${PID[$name-proxy]}" || die "the proxy of $name failed"
        printf '  before %-10s %s\n' "$name:" "$(tail -n 1 "$DIR/$name-proxy.out")"
    done
}

# orders_told PATTERN: how many orders the sale saw end in this way. After its first line it tells how many
# came to which end; what begins with dots was on the way.
orders_told() {
    awk -v end="$1" 'NR > 1 && $1 ~ /^[0-9]+$/ && $2 ~ end { n += $1 } END { print n + 0 }' "$DIR/sale.out"
}

# sold: how many orders were told that they are confirmed.
sold() { orders_told '^confirmed'; }

# sum_of_the_sale CENTS: what must be so whatever happened, and however many orders were confirmed: those are placed,
# sold and paid for, and of the others nothing is left. The crowd has spent so many cents elsewhere.
sum_of_the_sale() {
    local sold
    sold=$(sold)
    line 'sale orders unfinished' 0 "$(orders_told '^(trying|confirming|cancelling|nobody)')" 0
    line 'sale orders placed' 0 "$(orders_that_are placed "${BOOKS[orders]}" sale-)" "$sold"
    line 'sale orders pending' 0 "$(orders_that_are pending "${BOOKS[orders]}" sale-)" 0
    sum 'B2 available' stock B2 available -"$sold"
    sum 'B2 reserved' stock B2 reserved 0
    sum 'crowd balance' accounts crowd balance $((-1900 * sold - $1))
    sum 'crowd frozen' accounts crowd frozen 0
    [[ -z ${URL[loyalty]:-} ]] || {
        sum 'points earned' points crowd earned "$sold"
        sum 'points pending' points crowd pending 0
    }
}
