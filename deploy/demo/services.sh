# Builds, starts and stops the coordinator, the participants and what stands between them. Sourced
# by the other scripts here.
# Everything lives in a temporary directory and on free ports of the loopback address, and is
# gone when the script ends, however it ends.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Says which of the tools needed are missing, all at once.
check_tools() {
    local tool missing=()
    for tool in cargo make cc curl; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) && return
    echo "Missing: ${missing[*]}" >&2
    echo "On Debian and Ubuntu:  sudo apt-get install -y build-essential curl" >&2
    [[ " ${missing[*]} " != *" cargo "* ]] || echo "Rust (cargo):          see https://rustup.rs" >&2
    exit 1
}

# Builds what the tests build too, so that either is quick after the other. With BIN_DIR set, the
# binaries there are taken as they are.
build() {
    if [[ -z ${BIN_DIR:-} ]]; then
        BIN_DIR=${CARGO_TARGET_DIR:-target}/debug
        echo "Building (the first time takes a few minutes) ..."
        cargo build --quiet --workspace --bins
    fi
}

# What requests to coordinators are sent with, once there are tokens.
AUTHORIZATION=()

# make_a_token NAME ROLE: from here on coordinators let in whoever has it, and nobody else.
make_a_token() {
    local made sha256
    made=$("$BIN_DIR/tercet" token new --name "$1" --role "$2" 2>/dev/null) || die "no token could be made"
    sha256=$(grep -oE '[0-9a-f]{64}"$' <<<"$made" | head -c 64)
    export TERCET_AUTH__TOKENS="[{\"name\":\"$1\",\"role\":\"$2\",\"sha256\":\"$sha256\"}]"
    # By a file, since command lines are seen by everybody on the machine.
    printf 'header = "Authorization: Bearer %s"\n' "$(head -n 1 <<<"$made")" >"$DIR/token"
    AUTHORIZATION=(--config "$DIR/token")
}

# With DEMO_SIGNED=1 calls are signed, and the participants take no others: by a secret that is made anew each
# time, and given by the environment, since command lines are seen by everybody on the machine.
if [[ ${DEMO_SIGNED:-} == 1 ]]; then
    TERCET_DEMO_SECRET=whsec_$(head -c 32 /dev/urandom | base64)
    export TERCET_DEMO_SECRET
    export TERCET_PARTICIPANTS__SIGNING="[{\"host\":\"127.0.0.1\",\"secrets\":[\"$TERCET_DEMO_SECRET\"]}]"
    echo "Calls to participants are signed."
fi

# has_python: whether the participant that is written in Python can take part.
has_python() {
    python3 -c 'import sqlite3, sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null
}

# What every participant is started with.
PARTICIPANT_OPTIONS=()

DIR=$(mktemp -d "${TMPDIR:-/tmp}/tercet-demo.XXXXXX")
declare -A PID=() URL=()

clean_up() {
    local pid
    trap - EXIT
    [[ -z ${BUILDING:-} ]] || kill -9 -- "-$BUILDING" 2>/dev/null || true
    for pid in "${PID[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$DIR"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# die MESSAGE: ends the script, with the end of every log.
die() {
    echo >&2
    echo "FAILED: $1" >&2
    tail -n 15 "$DIR"/*.log >&2 || true
    exit 1
}

# until_true SECONDS COMMAND...: repeats the command until it succeeds; false if it never does.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

is_gone() { ! kill -0 "${PID[$1]}" 2>/dev/null; }

# ready NAME: takes the address from the line in which a service says that it listens.
ready() {
    local line
    case $1 in
    coordinator | node-*) line=$(grep -w ready "$DIR/$1.log" 2>/dev/null | tail -n 1) ;;
    *) line=$(tail -n 1 "$DIR/$1.out" 2>/dev/null) ;;
    esac
    [[ $line =~ http://127\.0\.0\.1:[0-9]+ ]] && URL[$1]=${BASH_REMATCH[0]}
}

# start NAME: starts a service; for the second time, on the same address and the same file.
start() {
    local name=$1 listen=${URL[$1]:-http://127.0.0.1:0} log=$DIR/$1.log
    listen=${listen#http://}
    : >"$DIR/$name.out"
    [[ ! -f $log ]] || mv "$log" "$DIR/$name.before.log"
    case $name in
    coordinator) set -- "$BIN_DIR/tercet" serve --listen "$listen" --database-url "sqlite://$DIR/$name.db" ;;
    # One of several on a database, of which it is told its name.
    node-*) set -- env TERCET_NODE__ID="$name" "$BIN_DIR/tercet" serve --listen "$listen" --database-url "$NODE_DATABASE" ;;
    loyalty) set -- python3 deploy/demo/python/loyalty.py --listen "$listen" --db "$DIR/$name.db" "${PARTICIPANT_OPTIONS[@]}" ;;
    ride)
        set -- "$BIN_DIR/tercet-demo" ride --listen "$listen" --db "$DIR/$name.db" "${PARTICIPANT_OPTIONS[@]}" \
            --coordinator "${URL[coordinator]}" --payment "${URL[payment]}/payment"
        ;;
    # Whoever takes part in a trip writes what comes into one log, which tells the order.
    flight | hotel | mail | payment | agency)
        log=$DIR/participants.log
        set -- env RUST_LOG=info,calls=debug \
            "$BIN_DIR/tercet-demo" "$name" --listen "$listen" --db "$DIR/$name.db" "${PARTICIPANT_OPTIONS[@]}"
        [[ $name != agency ]] || set -- "$@" --coordinator "${URL[coordinator]}" --mail "${URL[mail]}/mail"
        ;;
    # An example of a library, in another language.
    wallet-*) set -- "sdk/${name#wallet-}/serve" "$DIR/$name.db" "$listen" ;;
    *-proxy) set -- "$BIN_DIR/tercet-demo" proxy --listen "$listen" --to "${URL[${name%-proxy}]}" --seed 1 ;;
    *) set -- "$BIN_DIR/tercet-demo" "$name" --listen "$listen" --db "$DIR/$name.db" "${PARTICIPANT_OPTIONS[@]}" ;;
    esac
    "$@" >"$DIR/$name.out" 2>>"$log" &
    PID[$name]=$!
    ready_or_gone() { ready "$name" || is_gone "$name"; }
    until_true 120 ready_or_gone || die "$name is not ready after two minutes"
    ready "$name" || die "$name ended at once"
}

# kill_hard NAME: as if the power had gone.
kill_hard() {
    kill -9 "${PID[$1]}"
    wait "${PID[$1]}" 2>/dev/null || true
}

# PARTICIPANTS: those who take part in the sale.
start_all() {
    local name
    PARTICIPANTS=(order inventory payment)
    if has_python; then
        PARTICIPANTS+=(loyalty)
    else
        echo "No python3 of 3.8 or later here: the loyalty service, written in Python, is left out."
    fi
    for name in coordinator "${PARTICIPANTS[@]}" ride; do
        start "$name"
    done
}

# unfinished: how many transactions are under way, as the coordinator counts them.
unfinished() {
    local stats
    stats=$(command curl --silent --show-error --fail --max-time 300 "${AUTHORIZATION[@]}" "${URL[coordinator]}/v1/stats") || return 1
    grep -oE '"(trying|confirming|cancelling)":[0-9]+' <<<"$stats" | awk -F: '{ n += $2 } END { print n + 0 }'
}

# until_all_is_finished: waits for as long as something moves, and says how far it is.
until_all_is_finished() {
    local left last='' moved=$SECONDS told=$SECONDS
    while true; do
        left=$(unfinished) || die "the coordinator does not say what is under way"
        ((left > 0)) || return 0
        if [[ $left != "$last" ]]; then
            last=$left moved=$SECONDS
        fi
        ((SECONDS - moved < 300)) || die "$left transactions are under way, and have not moved for five minutes"
        if ((SECONDS - told >= 5)); then
            told=$SECONDS
            echo "  ...  $left transactions are not finished"
        fi
        sleep 0.2
    done
}

# order_body GID QUANTITY: an order by alice at 42.00 apiece, as JSON over several lines.
order_body() {
    local gid=$1 quantity=$2 amount=$((4200 * $2))
    cat <<JSON
{ "gid": "$gid", "branches": [
  {"id":"order",     "endpoint":"${URL[order]}/order",
   "payload":{"order":"$gid","account":"alice","sku":"A1","quantity":$quantity}},
  {"id":"inventory", "endpoint":"${URL[inventory]}/inventory",
   "payload":{"sku":"A1","quantity":$quantity}},
  {"id":"payment",   "endpoint":"${URL[payment]}/payment",
   "payload":{"account":"alice","amount":$amount}} ] }
JSON
}
