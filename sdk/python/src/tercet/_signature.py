"""Calls that are signed by whoever shares a secret with this service (Standard Webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Dict, Iterable, Mapping, Optional

from ._failure import TercetError

GOOD_FOR_S = 300
_MOST_SIGNATURES = 16


class Unsigned(TercetError):
    """A call is nobody's."""


class SigningKey:
    """`whsec_` and then 24 to 64 random bytes in base64. Nothing prints it."""

    def __init__(self, secret: str) -> None:
        try:
            if not secret.startswith("whsec_"):
                raise ValueError
            key = base64.b64decode(secret[len("whsec_") :].encode("ascii"), validate=True)
            if not 24 <= len(key) <= 64:
                raise ValueError
        except ValueError:
            # The text is not told: it may nearly be one.
            raise ValueError("must be whsec_ and then 24 to 64 random bytes in base64") from None
        self._key = key

    def __repr__(self) -> str:
        return "SigningKey(***)"

    def _mac(self, id_: str, timestamp: str, body: bytes) -> bytes:
        signed = b".".join((id_.encode("latin-1"), timestamp.encode("ascii"), body))
        return hmac.new(self._key, signed, hashlib.sha256).digest()

    def headers(self, call: Mapping[str, str], body: bytes, now_s: float) -> Dict[str, str]:
        """What signs a call that has these headers."""
        lower = {name.lower(): value for name, value in call.items()}
        id_, timestamp = call_id(lower, lower.get("tercet-op", "")), str(int(now_s))
        signature = base64.b64encode(self._mac(id_, timestamp, body)).decode("ascii")
        return {
            "webhook-id": id_,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + signature,
        }


def call_id(headers: Mapping[str, str], op: str) -> str:
    """The `webhook-id` of a call: a dot, which parts what is signed, is written `%2E`."""
    gid, branch, instance = (headers.get("tercet-" + name, "") for name in ("gid", "branch", "instance"))
    parts = (part.replace("%", "%25").replace(".", "%2E") for part in (gid, branch, op, instance))
    return "/".join(parts)


class Signed:
    """The three headers of a call, looked at before its body is."""

    def __init__(self, headers: Mapping[str, str], url: str, now_s: float) -> None:
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            if name not in headers:
                raise Unsigned(f"header {name} is missing")
        self._id = headers["webhook-id"]
        self._timestamp = headers["webhook-timestamp"]
        self._signatures = headers["webhook-signature"].split(" ")[:_MOST_SIGNATURES]
        at = self._timestamp
        if not (at.isascii() and at.isdigit() and len(at) < 20) or (abs(int(now_s) - int(at)) > GOOD_FOR_S):
            raise Unsigned("header webhook-timestamp is more than five minutes off, or no time")
        # Only the id is under the signature, and the URL says what will be done.
        op = "" if url == "branches" else url
        told = op if op == headers.get("tercet-op", "") else None
        if told is None or self._id != call_id(headers, op):
            raise Unsigned("header webhook-id is that of another call than its other headers tell of")

    def check(self, keys: Iterable[SigningKey], body: bytes) -> None:
        """Whether one of these keys signed it with this body."""
        sent = [made for made in map(_decoded, self._signatures) if made is not None]
        for key in keys:
            right = key._mac(self._id, self._timestamp, body)
            # All are compared, so that the time tells nothing.
            if any([hmac.compare_digest(right, made) for made in sent]):
                return
        raise Unsigned("header webhook-signature has no signature by a secret that is known here")


def _decoded(text: str) -> Optional[bytes]:
    if not text.startswith("v1,"):
        return None
    try:
        return base64.b64decode(text[3:].encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
