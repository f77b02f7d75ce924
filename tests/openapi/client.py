"""The client that openapi-python-client makes: a transaction of two branches, an error, a list in pages."""
import sys

from tercet_client import Client
from tercet_client.api.operator import participants, stats
from tercet_client.api.transactions import begin, cancel, confirm, events, list_, register, show
from tercet_client.models import BeginRequest, BranchRequest, CancelRequest, Problem, ProblemCode, Status

url, participant = sys.argv[1:]
client = Client(base_url=url, raise_on_unexpected_status=True)


def branch(id):
    return BranchRequest(id=id, endpoint=f"{participant}/{id}", payload={"n": 1})


begun = begin.sync_detailed(client=client, body=BeginRequest(gid="python-1", branches=[branch("a"), branch("b")]))
assert begun.status_code == 201, begun
assert begun.parsed.status is Status.CONFIRMED and begun.parsed.branches[1].attempts.try_ == 1, begun.parsed
assert begun.headers["location"] == "transactions/python-1"
shown = show.sync(client=client, gid="python-1")
assert shown.status is Status.CONFIRMED and shown.finished_at is not None, shown

reused = begin.sync(client=client, body=BeginRequest(gid="python-1", timeout_ms=1000))
assert isinstance(reused, Problem) and reused.code is ProblemCode.GID_REUSED, reused
missing = show.sync(client=client, gid="python-none")
assert isinstance(missing, Problem) and missing.code is ProblemCode.TRANSACTION_NOT_FOUND, missing

open_ = begin.sync(client=client, body=BeginRequest(gid="python-2", open_=True))
assert open_.status is Status.TRYING, open_
assert register.sync(client=client, gid="python-2", body=branch("c")).status.value == "tried"
assert confirm.sync(client=client, gid="python-2").status is Status.CONFIRMED
begin.sync(client=client, body=BeginRequest(gid="python-3"))
cancelled = cancel.sync(client=client, gid="python-3", body=CancelRequest(reason="no stock"))
assert cancelled.reason.value == "requested" and cancelled.reason_detail == "no stock", cancelled

seen, cursor = [], None
while True:
    page = list_.sync(client=client, limit=1, **({"cursor": cursor} if cursor else {}))
    seen += [item.gid for item in page.items if item.gid.startswith("python")]
    if not (cursor := page.next_cursor):
        break
assert seen == ["python-3", "python-2", "python-1"], seen
assert [line.kind.value for line in events.sync(client=client, gid="python-1").items] == ["begun", "decided", "finished"]
assert participants.sync(client=client).items[0].breaker.value == "closed"
assert stats.sync(client=client).by_status["confirmed"] >= 2
print("1 passed, 0 failed")
