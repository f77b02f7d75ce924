#!/usr/bin/env python3
"""Orders and trips, some a second, until it is ended: what the boards show in deploy/grafana/pictures.sh.

    deploy/grafana/load.py COORDINATOR ORDER INVENTORY PAYMENT
"""

import itertools
import json
import sys
import threading
import time
import urllib.error
import urllib.request

COORDINATOR, ORDER, INVENTORY, PAYMENT = sys.argv[1:]
NUMBERS = itertools.count(1)
# Threads, and the pause of each between two: some sixty orders a second and six trips.
THREADS, PAUSE = 6, 0.1


def send(path, body):
    request = urllib.request.Request(COORDINATOR + path, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=30).read()
    except (urllib.error.URLError, OSError):
        # Refused, or nobody there: that is on the boards.
        pass


def order(number):
    gid = f"order-{number}"
    # One in twenty cannot pay, and one in eight wants a piece of what there is little of.
    account, amount = ("bob", 5000) if number % 20 == 0 else ("crowd", 1)
    branches = [
        {"id": "order", "endpoint": f"{ORDER}/order", "payload": {"order": gid, "account": account, "sku": "B2", "quantity": 1}},
        {"id": "payment", "endpoint": f"{PAYMENT}/payment", "payload": {"account": account, "amount": amount}},
    ]
    if number % 8 == 0:
        branches.append({"id": "inventory", "endpoint": f"{INVENTORY}/inventory", "payload": {"sku": "B2", "quantity": 1}})
    send("/v1/transactions?wait=decided", {"gid": gid, "branches": branches})


def work():
    while True:
        number = next(NUMBERS)
        order(number)
        if number % 10 == 0:
            send("/v1/sagas/trip/runs?wait=accepted", {"gid": f"trip-{number}", "input": {"traveller": "bob", "account": "crowd"}})
        time.sleep(PAUSE)


for _ in range(THREADS):
    threading.Thread(target=work, daemon=True).start()
threading.Event().wait()
