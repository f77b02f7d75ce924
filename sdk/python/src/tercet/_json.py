"""JSON as the wire has it: strict to read, and written once."""

from __future__ import annotations

import dataclasses
import decimal
import json
import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any, Callable, Dict, Tuple, Union

_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class NotJson(ValueError):
    """The text is no JSON that everybody reads alike."""


def _no_constant(word: str) -> Any:
    raise NotJson(f"{word} is no JSON")


_PLAIN = json.JSONDecoder(parse_constant=_no_constant)
_EXACT = json.JSONDecoder(parse_constant=_no_constant, parse_float=decimal.Decimal)


def text_of(data: Union[bytes, str]) -> str:
    """The text of a body."""
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise NotJson("it is no UTF-8") from None


def loads(data: Union[bytes, str], *, exact: bool = False) -> Any:
    """The value. With `exact` fractions are `Decimal`, so that no digit of them is lost."""
    text = text_of(data)
    decoder = _EXACT if exact else _PLAIN
    try:
        value = decoder.decode(text)
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except ValueError as error:
        raise NotJson(str(error)) from None
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
        except UnicodeEncodeError:
            raise NotJson("it has half of a surrogate pair") from None
    return value


def members(data: Union[bytes, str]) -> Dict[str, str]:
    """The members of an object, each as it was written, to the byte."""
    text = text_of(data)

    def skip(at: int) -> int:
        return _SPACE.match(text, at).end()  # type: ignore[union-attr]

    at = skip(0)
    if text[at : at + 1] != "{":
        raise NotJson("it is no object")
    found: Dict[str, str] = {}
    at = skip(at + 1)
    if text[at : at + 1] == "}":
        at += 1
    else:
        while True:
            name, value, at = _member(text, at, skip)
            found[name] = value
            sign, at = text[at : at + 1], skip(at + 1)
            if sign == "}":
                break
            if sign != ",":
                raise NotJson("an object does not end")
    if skip(at) != len(text):
        raise NotJson("something comes after the object")
    return found


def _member(text: str, at: int, skip: Callable[[int], int]) -> Tuple[str, str, int]:
    if text[at : at + 1] != '"':
        raise NotJson("a name is missing")
    try:
        name, at = scanstring(text, at + 1, True)
        at = skip(at)
        if text[at : at + 1] != ":":
            raise NotJson("a value is missing")
        begin = skip(at + 1)
        _, end = _PLAIN.raw_decode(text, begin)
    except JSONDecodeError as error:
        raise NotJson(str(error)) from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    return name, text[begin:end], skip(end)


def dumps(value: Any) -> str:
    """The text of a value: a dataclass, or what has `model_dump` (pydantic), is an object."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson("it has half of a surrogate pair") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise NotJson(str(error)) from None
    return text


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"a {type(value).__name__} is no JSON")
