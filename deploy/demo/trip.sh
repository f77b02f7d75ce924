# A trip, whose steps come in an order: four scenes. Sourced by the demo.
#
# The participants of a trip write each call that comes and each answer that leaves to one log, a line before whatever
# follows from it: where a line stands above another, it was before it.

TRIP_LOG=$DIR/participants.log

# trip_lines GID: what came to the participants for this trip, in the order in which it came.
trip_lines() { sed -nE "s/.* calls: $1 (.*)/\1/p" "$TRIP_LOG"; }

# show_trip GID: tells it.
show_trip() {
    say "What the participants were called for, and answered:"
    trip_lines "$1" | sed -E 's/^/  /'
}

# times GID LINE: how often it stands there.
times() { trip_lines "$1" | grep -cx "$2" || true; }

# expect_before GID FIRST THEN: both stand there, and none of the second above the first of the first.
expect_before() {
    trip_lines "$1" | awk -v first="$2" -v then="$3" '
        $0 == first { seen = 1 }
        $0 == then { found = 1; if (!seen) early = 1 }
        END { exit !(seen && found && !early) }' ||
        { show_trip "$1" >&2; die "expected '$2' before '$3'"; }
}

# expect_never GID LINE: what must not have been called was not.
expect_never() {
    (($(times "$1" "$2") == 0)) || { show_trip "$1" >&2; die "expected '$2' never to be"; }
}

# trip_body GID TRAVELLER HOTEL_AFTER: a trip as JSON over several lines.
trip_body() {
    cat <<JSON
{ "gid": "$1", "pattern": "saga", "branches": [
  {"id":"flight", "after":[], "payload":{"traveller":"$2"},
   "action":"${URL[flight]}/flight/try",
   "compensate":"${URL[flight]}/flight/cancel"},
  {"id":"hotel", "after":[$3], "payload":{"traveller":"$2"},
   "action":"${URL[hotel]}/hotel/try",
   "compensate":"${URL[hotel]}/hotel/cancel"},
  {"id":"pay", "after":["flight","hotel"], "payload":{"account":"$2"},
   "action":"${URL[payment]}/payment/charge/try", "results":true},
  {"id":"mail", "after":["pay"], "payload":{"to":"$2"},
   "confirm":"${URL[mail]}/mail/confirm"} ] }
JSON
}

# begin_trip GID TRAVELLER HOTEL_AFTER [QUERY]
begin_trip() {
    ask "curl -s '${URL[coordinator]}/v1/transactions${4:-}' -H 'content-type: application/json' -d '$(trip_body "$1" "$2" "$3")'"
}

# trips_that_are STATUS BOOK: how many of the trips' bookings stand so.
trips_that_are() {
    sed 's/},{/}\n{/g' <<<"${BOOKS[$2]}" | grep '"trip":"trip-' | grep -c "\"status\":\"$1\"" || true
}

# mails: how many trips a mail was sent for.
mails() { sed 's/},{/}\n{/g' <<<"${BOOKS[mails]}" | grep -c '"trip":"trip-' || true; }

# The gids of the trips whose initiator died: a busy machine takes more than one.
mailed='' unmailed=''

start_trip() {
    local name
    for name in flight hotel mail agency; do
        start "$name"
    done
}

trip_goes_through() {
    say "Flight and hotel at once, then the payment, which cannot be undone and is told both fares,"
    say "then a mail, which cannot say no. The mail service fails twice, and is called until it does not."
    mischief mail '{"fail_first":2}'
    begin_trip trip-1 alice ''
    expect_finished confirmed trip-1
    show_trip trip-1
    expect_before trip-1 'flight try 200' 'pay try called'
    expect_before trip-1 'hotel try 200' 'pay try called'
    expect_before trip-1 'pay try 200' 'mail confirm called'
    expect_before trip-1 'mail confirm 503' 'mail confirm 200'
    expect_never trip-1 'flight cancel called'
    expect_never trip-1 'hotel cancel called'
    say "Each step was called only after what it builds on was answered."
}

trip_is_undone() {
    say "bob has 10.00, and the trip costs 210.00: what was booked is released, and no mail is sent."
    begin_trip trip-2 bob ''
    expect_finished cancelled trip-2
    expect 'insufficient-funds' "the reason"
    show_trip trip-2
    expect_before trip-2 'pay try 409' 'flight cancel called'
    expect_before trip-2 'pay try 409' 'hotel cancel called'
    expect_before trip-2 'flight cancel called' 'flight cancel 200'
    expect_before trip-2 'hotel cancel called' 'hotel cancel 200'
    expect_never trip-2 'mail confirm called'
    say "Once more, with a hotel that is booked after the flight: it is released before it."
    begin_trip trip-3 bob '"flight"'
    expect_finished cancelled trip-3
    show_trip trip-3
    expect_before trip-3 'flight try 200' 'hotel try called'
    expect_before trip-3 'hotel try 200' 'pay try called'
    expect_before trip-3 'pay try 409' 'hotel cancel called'
    expect_before trip-3 'hotel cancel 200' 'flight cancel called'
    expect_before trip-3 'flight cancel called' 'flight cancel 200'
    expect_never trip-3 'mail confirm called'
}

trip_outlives_the_coordinator() {
    local before since
    say "Flight and hotel are booked. The payment is slow, and kill -9 strikes before it has answered."
    mischief payment '{"slow_ms":{"try":60000}}'
    begin_trip trip-4 alice '' '?wait=accepted'
    paying() { (($(times trip-4 'pay try called') > 0)); }
    until_true 300 paying || die "the payment is not called"
    kill_hard coordinator
    before=$(trip_lines trip-4 | wc -l)
    say "The coordinator is dead, between two steps. So far it has called:"
    trip_lines trip-4 | sed -E 's/^/  /'
    expect_before trip-4 'flight try 200' 'pay try called'
    expect_before trip-4 'hotel try 200' 'pay try called'
    ask "curl -s ${URL[payment]}/mischief -H 'content-type: application/json' -d '{}'" >/dev/null
    start coordinator
    say "It is back on the same file (and the payment is quick again): it goes on with the payment."
    ask "curl -s '${URL[coordinator]}/v1/transactions/trip-4?wait=finished&wait_ms=40000'"
    expect_finished confirmed trip-4
    say "What it called since:"
    since=$(trip_lines trip-4 | tail -n +$((before + 1)))
    sed -E 's/^/  /' <<<"$since"
    ! grep -qE '^(flight|hotel) ' <<<"$since" || die "expected what was booked not to be called again"
    expect_before trip-4 'pay try 200' 'mail confirm called'
    grep -qx 'pay try 200' <<<"$since" || die "expected the payment to be called again"
    say "Neither flight nor hotel: that they are booked was on disk before the payment was called."
}

# die_at WHEN GID TIMEOUT_MS: whether the agency died there, before its transaction's deadline came.
die_at() {
    ask "curl -s ${URL[agency]}/trips -H 'content-type: application/json' -d '{\"trip\":\"$2\",\"traveller\":\"alice\",\"timeout_ms\":$3,\"die\":\"$1\"}' || echo '(no answer)'"
    [[ $ANSWER == '(no answer)' ]] || return 1
    until_true 120 is_gone agency || die "the agency should have died"
}

# until_it_dies WHEN GID: as often as this busy machine needs. DIED is the gid that it died of.
until_it_dies() {
    local timeout_ms=3000
    DIED=$2
    until die_at "$1" "$DIED" "$timeout_ms"; do
        ((timeout_ms < 300000)) || die "expected the agency to die"
        say "(This machine is busy: it was asked before it came so far. Once more, with four times as long.)"
        DIED=$DIED-again timeout_ms=$((timeout_ms * 4))
    done
}

trip_is_asked_for() {
    say "The agency begins an open transaction with a mail in it, writes a trip into its own database, in"
    say "one commit with the row that says so, and dies before it can ask for confirm."
    until_it_dies after-commit trip-5
    mailed=$DIED
    start agency
    say "It is back and knows nothing. At the deadline it is asked, and answers from its row:"
    ask "curl -s '${URL[coordinator]}/v1/transactions/$mailed?wait=finished&wait_ms=60000'"
    expect_finished confirmed "$mailed"
    show_trip "$mailed"
    expect_before "$mailed" 'initiator check 200' 'mail confirm called'
    ask "curl -s ${URL[mail]}/mails"
    expect "\"trip\":\"$mailed\"" "the mail"
    say "And when it dies before its commit, there is no row and no mail:"
    until_it_dies before-commit trip-6
    unmailed=$DIED
    start agency
    ask "curl -s '${URL[coordinator]}/v1/transactions/$unmailed?wait=finished&wait_ms=60000'"
    expect_finished cancelled "$unmailed"
    expect '"reason":"check"' "the answer as reason"
    show_trip "$unmailed"
    expect_before "$unmailed" 'initiator check called' 'initiator check 410'
    expect_never "$unmailed" 'mail confirm called'
    ask "curl -s ${URL[agency]}/trips"
    expect "\"trip\":\"$mailed\"" "the trip that was committed"
    [[ $ANSWER != *"\"trip\":\"$unmailed\""* ]] || die "expected no trip that was not committed"
}

# sums_of_the_trips: flight and hotel twice each, three mails, and nothing of what was undone.
sums_of_the_trips() {
    line 'flights booked' 0 "$(trips_that_are booked flights)" 2
    line 'flights released' 0 "$(trips_that_are released flights)" 2
    line 'hotels booked' 0 "$(trips_that_are booked hotels)" 2
    line 'hotels released' 0 "$(trips_that_are released hotels)" 2
    line 'mails of trips' 0 "$(mails)" 3
    sum 'bob balance' accounts bob balance 0
}
