"""Content blocks of MCP as parts of A2A, and back.

Invariant: what was a block becomes the same block again. What a part has no field for stands in its metadata
(`extension.CONTENT`), with the type of each block that is not plain text. A part without that metadata, which an agent
made that knows nothing of MCP, becomes the block that fits best.
"""

from base64 import b64decode
from typing import Any

import orjson

from lambdaagent.a2a import Json
from lambdaagent.mcp.extension import CONTENT, STRUCTURED

_BYTES = ("image", "audio")
_LABELS = {"mimeType": "mediaType", "name": "filename"}
_PIECE = {"text"}
_LONGEST_FILENAME = 255


def part_of(block: Any) -> Json:
    """Return the part. Raises ValueError if the block is not of the protocol's form."""
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise ValueError("a content block is no object with a type")
    match block["type"]:
        case "text":
            return _with({"text": _text(block, "text")}, _rest(block, "type", "text"))
        case "image" | "audio":
            part = _labelled({"raw": _base64(block, "data")}, block)
            return _with(part, _rest(block, "data", *_held(part, "mimeType")))
        case "resource" if isinstance(block.get("resource"), dict):
            return _of_resource(block, block["resource"])
        case "resource_link":
            part = _labelled({"url": _text(block, "uri")}, block, filename=block.get("name"))
            return _with(part, _rest(block, "uri", *_held(part, "mimeType", "name")))
    return _with({"data": block}, {"type": block["type"]})


def structured_part(value: Any) -> Json:
    """Return the part of a result's structuredContent."""
    return {"data": value, "metadata": {STRUCTURED: True}}


def is_structured(part: Json) -> bool:
    metadata = part.get("metadata")
    return isinstance(metadata, dict) and metadata.get(STRUCTURED) is True and "data" in part


def is_of_block(holder: Json) -> bool:
    """Whether a part was a content block with more than a part has fields for, or an artifact a result."""
    metadata = holder.get("metadata")
    return isinstance(metadata, dict) and CONTENT in metadata


def with_meta(holder: Json, meta: Any) -> Json:
    """Return an artifact or message that was made of a result, with the result's `_meta`."""
    return {**holder, "metadata": {CONTENT: {"_meta": meta} if isinstance(meta, dict) and meta else {}}}


def joined(artifact: Json) -> list[Json]:
    """Return the artifact's parts. Texts that follow each other are one, unless each was a block of its own: an agent
    that streams adds a part for each piece of its text.
    """
    parts: list[Json] = artifact.get("parts", [])
    if is_of_block(artifact):
        return parts
    found: list[Json] = []
    texts: list[str] = []
    for part in [*parts, {}]:
        if part.keys() == _PIECE:
            texts.append(part["text"])
            continue
        if texts:
            found.append({"text": "".join(texts)})
            texts = []
        if part:
            found.append(part)
    return found


def meta_of(holder: Json) -> Json:
    """Return what `with_meta` kept."""
    metadata = holder.get("metadata")
    kept = metadata.get(CONTENT) if isinstance(metadata, dict) else None
    meta = kept.get("_meta") if isinstance(kept, dict) else None
    return meta if isinstance(meta, dict) else {}


def block_of(part: Json, *, uri: str) -> Json | None:
    """Return the block; `uri` is that of a file that has none. None for a part without content."""
    metadata = part.get("metadata")
    rest = metadata.get(CONTENT) if isinstance(metadata, dict) else None
    if isinstance(rest, dict) and (known := _restored(part, rest)) is not None:
        return known
    media = str(part.get("mediaType") or "")
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    if "data" in part:
        return {"type": "text", "text": orjson.dumps(part["data"]).decode()}
    if "raw" in part:
        kind = media.partition("/")[0]
        if kind in _BYTES:
            return {"type": kind, "data": part["raw"], "mimeType": media}
        resource = {"uri": uri, "mimeType": media or "application/octet-stream", "blob": part["raw"]}
        return {"type": "resource", "resource": resource}
    if "url" in part:
        linked = {"type": "resource_link", "uri": part["url"], "name": part.get("filename") or part["url"]}
        return linked | ({"mimeType": media} if media else {})
    return None


def _restored(part: Json, rest: Json) -> Json | None:
    """Return the block that the part was made of; None if the two do not belong together."""
    kind = rest.get("type", "text")
    media = {"mimeType": part["mediaType"]} if isinstance(part.get("mediaType"), str) else {}
    if kind == "text" and "text" in part:
        return {**rest, "type": "text", "text": part["text"]}
    if kind in _BYTES and "raw" in part:
        return {**rest, "data": part["raw"], **media}
    if kind == "resource" and isinstance(rest.get("resource"), dict) and ("text" in part or "raw" in part):
        content = {"text": part["text"]} if "text" in part else {"blob": part["raw"]}
        return {**rest, "resource": {**rest["resource"], **content, **media}}
    if kind == "resource_link" and "url" in part:
        name = {"name": part["filename"]} if "filename" in part and "name" not in rest else {}
        return {**rest, "uri": part["url"], **name, **media}
    if isinstance(part.get("data"), dict) and part["data"].get("type") == kind:
        data: Json = part["data"]
        return data
    return None


def _of_resource(block: Json, resource: Json) -> Json:
    uri = _text(resource, "uri")
    name = uri.rstrip("/").rpartition("/")[2]
    if "blob" in resource:
        part = _labelled({"raw": _base64(resource, "blob")}, resource, filename=name)
        return _with(part, {**block, "resource": _rest(resource, "blob", *_held(part, "mimeType"))})
    part = _labelled({"text": _text(resource, "text")}, resource, filename=name)
    return _with(part, {**block, "resource": _rest(resource, "text", *_held(part, "mimeType"))})


def _labelled(part: Json, source: Json, *, filename: Any = None) -> Json:
    """Return the part with its media type and file name; an odd one stays in the metadata alone."""
    media = source.get("mimeType")
    if isinstance(media, str) and media:
        part["mediaType"] = media
    if isinstance(filename, str) and 0 < len(filename) <= _LONGEST_FILENAME and filename.isprintable():
        part["filename"] = filename
    return part


def _with(part: Json, rest: Json) -> Json:
    return {**part, "metadata": {CONTENT: rest}} if rest else part


def _held(part: Json, *keys: str) -> list[str]:
    """Return those of the block's keys whose values the part has in fields of its own."""
    return [key for key in keys if _LABELS[key] in part]


def _rest(block: Json, *taken: str) -> Json:
    return {key: value for key, value in block.items() if key not in taken}


def _text(block: Json, key: str) -> str:
    if not isinstance(block.get(key), str):
        raise ValueError(f"a content block has no {key}")
    text: str = block[key]
    return text


def _base64(block: Json, key: str) -> str:
    text = _text(block, key)
    try:
        b64decode(text, validate=True)
    except ValueError:
        raise ValueError(f"the {key} of a content block is not base64") from None
    return text
