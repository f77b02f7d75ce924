"""Names of things and texts of the wire, each checked once, at the edge."""

from __future__ import annotations

import datetime
import email.utils
import os
import re
import time
import uuid
from typing import Optional, Tuple

GID_MAX_LENGTH = 128
BRANCH_MAX_LENGTH = 64
OPS: Tuple[str, ...] = ("try", "confirm", "cancel")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):(\d\d))\Z")
_EPOCH = datetime.datetime(1970, 1, 1)


def id_fault(text: str, longest: int) -> Optional[str]:
    """What is wrong with an id; None if nothing is."""
    if not 1 <= len(text) <= longest:
        return f"must be 1 to {longest} characters long, this has {len(text)}"
    if _ID.match(text):
        return None
    if not _ID.match(text[0]):
        return f"must begin with a letter or a digit, not with {text[0]!r}"
    wrong = next(c for c in text if not _ID.match("a" + c))
    return f"may contain only letters, digits and . _ : - , not {wrong!r}"


def parse_instance(text: str) -> Optional[str]:
    """A UUID in its usual spelling; None if it is none."""
    return text.lower() if _UUID.match(text) else None


def parse_time(text: str) -> Optional[int]:
    """UTC epoch milliseconds of an RFC 3339 time; None if it is none."""
    found = _RFC3339.match(text) if text.isascii() else None
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.group(1, 2, 3, 4, 5, 6))
    if second > 60:
        return None
    try:
        # A leap second is the last one of its minute here.
        at = datetime.datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        return None
    millis = int((found.group(7) or "0").ljust(3, "0")[:3])
    whole = (at - _EPOCH) // datetime.timedelta(milliseconds=1) + millis
    if found.group(8):
        return whole
    hours, minutes = int(found.group(10)), int(found.group(11))
    if hours > 23 or minutes > 59:
        return None
    offset = (hours * 60 + minutes) * 60_000
    return whole - offset if found.group(9) == "+" else whole + offset


def format_time(millis: int) -> str:
    """RFC 3339, UTC, with milliseconds."""
    at = _EPOCH + datetime.timedelta(milliseconds=millis)
    return at.isoformat(timespec="milliseconds") + "Z"


def parse_retry_after(text: Optional[str], now_s: float) -> Optional[int]:
    """Milliseconds that a `Retry-After` asks for; None for what is neither seconds nor a date."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:12]), 4_294_967_295) * 1000
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=datetime.timezone.utc)
    return max(0, int((at.timestamp() - now_s) * 1000))


def new_gid() -> str:
    """A UUIDv7: time-ordered, so that the coordinator's index grows at one end."""
    bits = int.from_bytes(os.urandom(10), "big") | (time.time_ns() // 1_000_000 << 80)
    bits = (bits & ~(0xF << 76)) | (0x7 << 76)
    bits = (bits & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=bits & ((1 << 128) - 1)))


def now_ms() -> int:
    """UTC epoch milliseconds, as this machine has it."""
    return time.time_ns() // 1_000_000
