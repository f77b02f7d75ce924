"""What the tests share."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any, Dict, List

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
VECTORS = ROOT / "sdk" / "vectors"
BIN_DIR = pathlib.Path(os.environ.get("BIN_DIR") or ROOT / "target" / "debug")


def cases(name: str) -> List[Dict[str, Any]]:
    """The cases of a file of vectors."""
    found: List[Dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["cases"]
    assert found
    return found


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "databases: needs the servers of tests/databases")
