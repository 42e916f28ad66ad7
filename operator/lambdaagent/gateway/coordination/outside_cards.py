"""What servers elsewhere say of themselves, for the registry."""

from lambdaagent.coordination.registered_agent import RegisteredAgent
from lambdaagent.registry.registry import FetchedCard
from lambdaagent.trust import Trust
from lambdaagent.webhooks.address_check import CheckOf


class OutsideCards:
    def __init__(self, check: CheckOf, trust: Trust) -> None:
        self._check = check
        self._trust = trust

    async def fetch(self, agent: RegisteredAgent) -> FetchedCard:
        return FetchedCard(None)
