"""The output formats of dead letters."""

from enum import StrEnum


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"
