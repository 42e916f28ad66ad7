"""Ids of agents: `namespace/name` of one in the cluster, or the id by which one elsewhere is registered."""

from lambdaagent.coordination.registered_agent import label_of
from lambdaagent.gateway.directory import Directory, Entry, Key


def key_of(agent_id: str, *, registry: str) -> Key:
    """Return the agent's key in the directory. `registry` is the namespace of registered agents."""
    namespace, slash, name = agent_id.partition("/")
    return (namespace, name) if slash else (registry, label_of(agent_id))


def entry_of(directory: Directory, agent_id: str, *, registry: str) -> Entry | None:
    """Return the agent, whoever may know of it."""
    entry = directory.find(*key_of(agent_id, registry=registry))
    return entry if entry is not None and entry.agent_id == agent_id else None
