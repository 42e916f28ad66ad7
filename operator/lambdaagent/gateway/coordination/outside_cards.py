"""What servers elsewhere say of themselves, for the registry: an A2A server its card, an MCP server its tools.

A registered agent gets no headers from Secrets: whoever may register one would have them sent to a server of its own.
"""

from lambdaagent.a2a.external_card import CheckedCard
from lambdaagent.api.external import External
from lambdaagent.coordination.registered_agent import RegisteredAgent
from lambdaagent.external import card_reader
from lambdaagent.external.card_reader import NoCardError, ReadCard
from lambdaagent.registry.registry import FetchedCard
from lambdaagent.toolservers.listing import ListError, skills
from lambdaagent.trust import Trust
from lambdaagent.webhooks.address_check import CheckOf

_SECONDS = 5.0


class OutsideCards:
    def __init__(self, check: CheckOf, trust: Trust) -> None:
        self._check = check
        self._trust = trust

    async def fetch(self, agent: RegisteredAgent) -> FetchedCard:
        external = External(url=agent.endpoint_url)
        try:
            if agent.protocol == "mcp":
                listed = await skills(external, (), seconds=_SECONDS, check=self._check, trust=self._trust)
                return FetchedCard(listed.card, agent.endpoint_url)
            before = ReadCard(CheckedCard(agent.agent_card), agent.card_place, agent.card_etag)
            read = await card_reader.read(
                external,
                before=before if agent.card_place else None,
                seconds=_SECONDS,
                check=self._check,
                trust=self._trust,
            )
        except (NoCardError, ListError) as error:
            return FetchedCard(None, problem=str(error)[:1000])
        return FetchedCard(read.card.kept, read.place, read.etag)
