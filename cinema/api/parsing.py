"""Read a body strictly: JSON in UTF-8, and nothing that a database or a log would choke on."""

import json
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic.config import JsonDict, JsonValue

from cinema.errors import BadJson, UnsupportedMediaType


class StrictParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        """Return the value of a body that is there.

        Raises UnsupportedMediaType and BadJson; Ninja hands them on as causes.
        """
        charset = (request.content_params or {}).get("charset", "utf-8")
        is_json = request.content_type in ("application/json", "")
        if not is_json or charset.lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType
        return strict_json(request.body)


def strict_json(raw: bytes) -> JsonValue:
    """Return the value of these bytes.

    Raises BadJson: not UTF-8, not JSON, a key twice, NaN, a lone surrogate, or nested deeper than
    anyone needs.
    """
    try:
        text = raw.decode("utf-8")
        value: JsonValue = json.loads(
            text, object_pairs_hook=_require_unique, parse_constant=_refuse
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise BadJson from None
    return value


def _require_unique(pairs: list[tuple[str, JsonValue]]) -> JsonDict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
