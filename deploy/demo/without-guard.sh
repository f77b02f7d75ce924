#!/usr/bin/env bash
# The flash sale of the demo once more, with participants whose guard is left out: on purpose, to show
# that it is the guard to which the sums are owed. Succeeds only if the sums are off.

source "$(dirname "${BASH_SOURCE[0]}")/services.sh"
source deploy/demo/books.sh
source deploy/demo/sale.sh

check_tools
build
PARTICIPANT_OPTIONS=(--without-guard)
start_all
remember_the_books
say "Running without the guard: every participant runs its business code at each call that comes."

# Some of these never come to an end, and need not be waited for.
sale_scene "A flash sale through a bad network, without the guard" --patience-s 10
wait_for_proxies 10

title "The books"
read_the_books
heading
sum_of_the_sale 0
echo
((wrong > 0)) || die "the sums are right without the guard, so they prove nothing"
say "$wrong sums are off, as was to be shown: this run fails on purpose, and has succeeded in failing."
