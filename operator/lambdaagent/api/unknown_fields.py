"""Finds unknown fields and the known names that were probably meant.

The API server prunes unknown fields silently unless strict validation is requested, so a typo would have no effect;
`validate` reports it as an error.
"""

import difflib
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Path = tuple[str | int, ...]


def unknown_fields(model: type[BaseModel], value: Any, path: Path = ()) -> Iterator[tuple[Path, str | None]]:
    """Yield the path of each field that the model does not know, and the nearest known name or None."""
    if not isinstance(value, dict):
        return
    known = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    for key, child in value.items():
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.6)
            yield (*path, str(key)), nearest[0] if nearest else None
        else:
            yield from _descend(known[key], child, (*path, key))


def _descend(annotation: Any, value: Any, path: Path) -> Iterator[tuple[Path, str | None]]:
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from unknown_fields(annotation, value, path)
    elif origin is Annotated:
        yield from _descend(get_args(annotation)[0], value, path)
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _descend(option, value, path)
    elif origin is list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _descend(get_args(annotation)[0], item, (*path, index))
