"""Readers that raise where .NET's and Python's do: on a type or a field that they do not know, on a time outside the years 1 to 9999."""

import json
import re
from datetime import datetime, timezone
from urllib.request import Request, urlopen

INT64 = 2**63


def count(value):
    assert type(value) is int and -INT64 <= value < INT64, value


def second(value):
    count(value)
    datetime.fromtimestamp(value)
    datetime.fromtimestamp(value, timezone.utc)


def moment(value):
    assert type(value) is str, value
    # Older Pythons know neither Z nor nanoseconds.
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", value.replace("Z", "+00:00"))
    read = datetime.fromisoformat(text)
    assert read.tzinfo and "T" in value, value
    read.astimezone(timezone.utc)


def text(value):
    assert type(value) is str, value


def texts(value):
    assert type(value) is list, value
    for item in value:
        text(item)


def mapping(value):
    assert type(value) is dict, value


# OpenAI's four fields and ours: a class in a language with types has these and no others.
REQUIRED = {"id": text, "object": text, "created": second, "owned_by": text}
ENTRY = {
    **REQUIRED, "display_name": text, "description": text, "context_window": count, "context_length": count,
    "max_context_window": count, "max_output_tokens": count, "input_modalities": texts, "output_modalities": texts,
    "capabilities": texts, "supported_methods": texts, "pricing": mapping, "knowledge_cutoff": text, "lifecycle": text,
    "deprecated_at": moment, "retires_at": moment, "metadata_source": mapping, "alias_of": text, "endpoints": texts,
}
# By these names wherever they are; null where nothing is known.
TIMES = {
    "created": second, "created_at": moment, "modified_at": moment, "deprecated_at": moment, "retires_at": moment,
    "at": moment, "since": moment, "fetched_at": moment, "attempted_at": moment, "next_attempt_at": moment,
    "first_seen_at": moment, "last_seen_at": moment, "hidden_since": moment,
}


def entry(value):
    for name in REQUIRED:
        assert name in value, f"no {name}: {value}"
    for name, field in value.items():
        assert name in ENTRY, f"{name} is unknown"
        ENTRY[name](field)


def times(value):
    """Reads every time in an answer; their number."""
    if isinstance(value, list):
        return sum(map(times, value))
    if not isinstance(value, dict):
        return 0
    read = 0
    for name, field in value.items():
        if name in TIMES and field is not None:
            TIMES[name](field)
            read += 1
        else:
            read += times(field)
    return read


def once(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a field is there twice: {names}"
    return dict(pairs)


def no_number(name):
    raise ValueError(f"{name} is no JSON")


def read(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data), timeout=10) as answer:
        return json.loads(answer.read().decode("utf-8", "strict"), object_pairs_hook=once, parse_constant=no_number)
