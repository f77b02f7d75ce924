"""Reading a payload as the type that a participant names."""

from __future__ import annotations

import collections.abc
import dataclasses
import decimal
import sys
import types
import typing
from typing import Any, Dict, Literal, Tuple, Union, get_args, get_origin, get_type_hints

from . import _json

_UNION: Tuple[Any, ...] = (Union,)
if sys.version_info >= (3, 10):
    _UNION = (Union, types.UnionType)


class Unreadable(ValueError):
    """A text is not of the type."""


def read(of: Any, data: Union[bytes, str]) -> Any:
    """The value of a JSON text as this type: a dataclass, a TypedDict, what has
    `model_validate_json` (pydantic), or what JSON itself is made of."""
    try:
        if of in (Any, object) or isinstance(of, typing.TypeVar):
            return _json.loads(data)
        validate = getattr(of, "model_validate_json", None)
        if validate is not None:
            return validate(data)
        return shape(of, _json.loads(data, exact=True), "")
    except Unreadable:
        raise
    except ValueError as error:  # also pydantic's, and NotJson
        raise Unreadable(str(error)) from error


def shape(of: Any, value: Any, at: str) -> Any:
    """The value as this type, or an error that names the place."""
    origin, arguments = get_origin(of), get_args(of)
    if of in (Any, object):
        return _floats(value)
    if of is None or of is type(None):
        if value is None:
            return None
    elif of is float:
        if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool):
            return float(value)
    elif of is decimal.Decimal:
        if isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool):
            return decimal.Decimal(value)
    elif of in (bool, str):
        if isinstance(value, of):
            return value
    elif of is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif origin in _UNION:
        for one in arguments:
            try:
                return shape(one, value, at)
            except Unreadable:
                continue
    elif origin is Literal:
        for one in arguments:
            if type(one) is type(value) and one == value:
                return value
    elif of in (list, dict):
        if isinstance(value, of):
            return _floats(value)
    elif origin in (list, collections.abc.Sequence):
        if isinstance(value, list):
            return [shape(arguments[0], one, f"{at}[{i}]") for i, one in enumerate(value)]
    elif origin in (dict, collections.abc.Mapping):
        if isinstance(value, dict):
            return {name: shape(arguments[1], one, _dot(at, name)) for name, one in value.items()}
    elif dataclasses.is_dataclass(of):
        if isinstance(value, dict):
            return of(**_fields(of, value, at))  # type: ignore[operator]
    elif typing.is_typeddict(of) if hasattr(typing, "is_typeddict") else _is_typed_dict(of):
        if isinstance(value, dict):
            return _typed_dict(of, value, at)
    else:
        name = getattr(of, "__name__", str(of))
        raise TypeError(f"{name}: override read_payload to read it from JSON")
    raise Unreadable(f"{at or 'it'} must be {_name(of)}")


def _fields(of: Any, value: Dict[str, Any], at: str) -> Dict[str, Any]:
    hints = get_type_hints(of)
    read_: Dict[str, Any] = {}
    for field in dataclasses.fields(of):
        if not field.init:
            continue
        if field.name in value:
            read_[field.name] = shape(hints[field.name], value[field.name], _dot(at, field.name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Unreadable(f"{_dot(at, field.name)} is missing")
    return read_


def _is_typed_dict(of: Any) -> bool:
    return isinstance(of, type) and issubclass(of, dict) and hasattr(of, "__required_keys__")


def _typed_dict(of: Any, value: Dict[str, Any], at: str) -> Dict[str, Any]:
    hints, read_ = get_type_hints(of), {}
    for name, one in value.items():
        read_[name] = shape(hints.get(name, Any), one, _dot(at, name))
    for name in of.__required_keys__:
        if name not in value:
            raise Unreadable(f"{_dot(at, name)} is missing")
    return read_


def _dot(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _name(of: Any) -> str:
    return of.__name__ if isinstance(of, type) else str(of).replace("typing.", "")


def _floats(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, list):
        return [_floats(one) for one in value]
    if isinstance(value, dict):
        return {name: _floats(one) for name, one in value.items()}
    return value
