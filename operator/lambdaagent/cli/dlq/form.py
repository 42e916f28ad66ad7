"""The forms in which letters are printed."""

from enum import StrEnum


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
