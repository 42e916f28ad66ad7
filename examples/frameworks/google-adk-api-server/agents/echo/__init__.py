"""The agent `echo`."""

from . import agent
