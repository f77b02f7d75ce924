# The flash sale: 3 000 orders for 1 000 pieces, with a proxy between the coordinator and each
# participant. Sourced by the scripts here.

# sale_scene TITLE PATIENCE_S: starts the proxies and runs the sale.
sale_scene() {
    local name endpoints=() began=$SECONDS
    title "$1"
    say "3 000 orders for the 1 000 pieces of B2 (19.00 apiece). In front of each participant stands a proxy"
    say "that doubles, delays or reorders a tenth of all calls, or loses their answers."
    for name in "${PARTICIPANTS[@]}"; do
        start "$name-proxy"
        endpoints+=("--$name" "${URL[$name-proxy]}/$name")
    done
    say "${dim}\$ tercet-demo sale --coordinator ${URL[coordinator]} ${endpoints[*]}${plain}"
    "$BIN_DIR/tercet-demo" sale --coordinator "${URL[coordinator]}" "${endpoints[@]}" --patience-s "$2" \
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

# sum_of_the_sale CENTS: what the crowd has bought; it has spent so many cents elsewhere.
sum_of_the_sale() {
    local placed
    placed=$(orders_that_are placed "${BOOKS[orders]}" sale-)
    # After its first line the sale has told how many ended in which way.
    line 'sale orders unfinished' 0 "$(awk 'NR > 1 && $2 !~ /^(confirmed|cancelled)/ { n += $1 } END { print n + 0 }' "$DIR/sale.out")" 0
    line 'sale orders placed' 0 "$placed" 1000
    line 'sale orders pending' 0 "$(orders_that_are pending "${BOOKS[orders]}" sale-)" 0
    sum 'B2 available' stock B2 available -1000
    sum 'B2 reserved' stock B2 reserved 0
    sum 'crowd balance' accounts crowd balance $((-1900 * placed - $1))
    sum 'crowd frozen' accounts crowd frozen 0
    [[ -z ${URL[loyalty]:-} ]] || {
        sum 'points earned' points crowd earned "$placed"
        sum 'points pending' points crowd pending 0
    }
}
