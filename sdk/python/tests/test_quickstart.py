"""docs/quickstart-python.md, followed to the letter in an empty folder with the built package."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
from typing import Dict, List, Tuple

import pytest

from conftest import BIN_DIR, ROOT

PAGE = ROOT / "docs" / "quickstart-python.md"
PORTS = ("7200", "7302")


def blocks() -> List[Tuple[str, str]]:
    """The code blocks with their languages."""
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.M | re.S)
    assert len(found) > 8
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Shell:
    """Runs blocks as somebody would who follows the page: `terminal` in one of their own."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.ports = {port: str(free_port()) for port in PORTS}
        wheels = os.environ.get("TERCET_WHEELS")
        self.env = {**os.environ, "PATH": f"{BIN_DIR}:{os.environ['PATH']}"}
        for name in ("PYTHONPATH", "PYTHONPYCACHEPREFIX"):
            self.env.pop(name, None)
        # On a machine that is busy a call may take its time.
        self.env["TERCET_DISPATCHER__CALL_TIMEOUT_MS"] = "60000"
        if wheels:
            self.env.update(
                PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels, PIP_NO_COMPILE="1", PIP_DISABLE_PIP_VERSION_CHECK="1"
            )
        self._patient = f'Client("http://127.0.0.1:{self.ports["7200"]}", wait_ms=60_000)'
        self.terminals: List[subprocess.Popen[bytes]] = []

    def mine(self, text: str) -> str:
        """With ports of this test's own."""
        for port, instead in self.ports.items():
            text = text.replace(port, instead)
        text = text.replace(f'Client("http://127.0.0.1:{self.ports["7200"]}")', self._patient)
        text = text.replace("tercet dev", f"exec tercet dev --listen 127.0.0.1:{self.ports['7200']}")
        return text

    def run(self, text: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", self.mine(text)],
            cwd=self.place,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def terminal(self, text: str) -> None:
        log = open(self.place / f"terminal-{len(self.terminals)}.log", "wb")  # noqa: SIM115
        port = int(self.ports["7200" if "tercet dev" in text else "7302"])
        command = ["bash", "-euc", self.mine(text)]
        process = subprocess.Popen(command, cwd=self.place, env=self.env, stdout=log, stderr=log)
        self.terminals.append(process)
        for _ in range(3000):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert process.poll() is None, (self.place / log.name).read_text()
            threading.Event().wait(0.02)
        pytest.fail(f"{text} does not listen")

    def close(self) -> None:
        for process in self.terminals:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.mark.coordinator
def test_the_quickstart_does_what_it_says(tmp_path: pathlib.Path) -> None:
    shell, said = Shell(tmp_path), ""
    try:
        for language, text in blocks():
            if language == "python":
                name = text.split("\n", 1)[0].removeprefix("# ")
                (tmp_path / name).write_text(shell.mine(text), "utf-8")
            elif language == "sh":
                said = shell.run(text)
            elif language == "sh terminal":
                shell.terminal(text)
            else:
                assert language == "text"
                assert said == text
    finally:
        shell.close()


def test_a_participant_and_its_initiator_are_short() -> None:
    lines: Dict[str, int] = {}
    for language, text in blocks():
        if language == "python":
            name, body = text.split("\n", 1)
            lines[name] = sum(1 for line in body.split("\n") if line.strip() and not line.strip().startswith("#"))
    assert lines["# payment.py"] + lines["# dinner.py"] <= 45, lines
