"""The agent `echo`."""

from . import agent as agent
