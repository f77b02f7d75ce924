"""check-participant against the examples: a framework on each database, every further one on SQLite.

Runs several at a time, since most of it is waiting, and prints one line for each.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator, List, Optional, Tuple

from conftest import BIN_DIR, MYSQL, POSTGRES, _server_database

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

# The example, the way to the database, the database; and whether calls are signed.
MATRIX: List[Tuple[str, str, str, bool]] = [
    ("fastapi", "", "sqlite", False),
    ("flask", "", "sqlite", True),
    ("django", "", "sqlite", False),
    ("starlette", "sqlalchemy+", "sqlite", True),
    ("fastapi", "", "postgres", False),
    ("fastapi", "sqlalchemy+", "postgres", False),
    ("fastapi", "", "mysql", False),
    ("flask", "sqlalchemy+", "mysql", False),
    ("flask", "mysqlclient+", "mysql", False),
]


@contextlib.contextmanager
def database(way: str, base: str) -> Iterator[Optional[str]]:
    if base == "sqlite":
        with tempfile.TemporaryDirectory() as place:
            yield f"{way}sqlite:///{place}/payment.db"
        return
    url = POSTGRES if base == "postgres" else MYSQL
    if url is None:
        yield None
        return
    if way == "mysqlclient+":
        try:
            import MySQLdb  # noqa: F401
        except ImportError:
            yield None
            return
    with _server_database(base, url) as own:
        yield way + own


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def checked(example: str, way: str, base: str, signed: bool) -> Tuple[bool, str]:
    name = f"{example} on {way}{base}{', signed' if signed else ''}"
    with database(way, base) as url, tempfile.TemporaryFile("w+") as log:
        if url is None:
            return True, f"{name}: LEFT OUT"
        port, began = free_port(), time.monotonic()
        env = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "") + f":{EXAMPLES}"}
        env.pop("TERCET_SIGNING_SECRET", None)
        if signed:
            env["TERCET_SIGNING_SECRET"] = SECRET
        command = [sys.executable, str(EXAMPLES / f"with_{example}.py"), url, str(port)]
        service = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        try:
            at = f"http://127.0.0.1:{port}"
            if not listens(service, port):
                log.seek(0)
                return False, f"{name}: did not start\n{log.read()[-3000:]}"
            kit = [
                str(BIN_DIR / "check-participant"),
                f"{at}/payment",
                "--probe",
                f"{at}/accounts",
                "--reserved",
                "frozen",
            ]
            kit += ["--payload", '{"account":"alice","amount":1}', "--refused", '{"account":"alice","amount":1000000}']
            kit += ["--rounds", "4", "--seed", str(uuid.uuid4().int % 1000)]
            done = subprocess.run(kit, capture_output=True, text=True, env=env, check=False)
        finally:
            service.terminate()
            service.wait()
        seconds = time.monotonic() - began
        if done.returncode:
            log.seek(0)
            return False, f"{name}: {done.stdout}{done.stderr}\n{log.read()[-3000:]}"
        return True, f"{name}: {done.stdout.partition(' ')[2].strip()}, {seconds:.0f} s"


def listens(service: subprocess.Popen[bytes], port: int) -> bool:
    for _ in range(3000):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return True
        if service.poll() is not None:
            return False
        threading.Event().wait(0.02)
    return False


def main() -> int:
    with ThreadPoolExecutor(4) as at_once:
        results = list(at_once.map(lambda row: checked(*row), MATRIX))
    for _, line in results:
        print(line, flush=True)
    right = sum(1 for is_right, _ in results if is_right)
    print(f"{right} passed, {len(results) - right} failed")
    return 0 if right == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
