"""Values of Secrets are kept for a short time, failures for a shorter one; calls that come together ask once."""

import asyncio
from dataclasses import dataclass, field

import pytest

from lambdaagent.kube.secrets import CachedSecrets, SecretNotReadableError, SecretValueError


@dataclass
class Vault:
    """Stands in for the API server: its values by namespace, Secret and key."""

    values: dict[tuple[str, str, str], str] = field(default_factory=dict)
    asked: int = 0

    async def value(self, *, namespace: str, name: str, key: str) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        found = self.values.get((namespace, name, key))
        if found is None:
            raise SecretNotReadableError("the gateway may not read it")
        return found


WANTED = [("X-Key", "partner", "token")]


async def test_a_value_is_asked_for_again_after_its_time() -> None:
    vault, now = Vault({("shop", "partner", "token"): "one"}), [100.0]
    cached = CachedSecrets(vault, now=lambda: now[0])
    found = await asyncio.gather(*(cached.headers("shop", WANTED) for _ in range(50)))
    assert found == [[("X-Key", "one")]] * 50
    assert vault.asked == 1
    vault.values["shop", "partner", "token"] = "two"
    now[0] += 29
    assert await cached.headers("shop", WANTED) == [("X-Key", "one")]
    now[0] += 2
    assert await cached.headers("shop", WANTED) == [("X-Key", "two")]


async def test_another_namespace_is_another_secret_and_a_failure_is_kept_shortly() -> None:
    vault, now = Vault({("shop", "partner", "token"): "one"}), [100.0]
    cached = CachedSecrets(vault, now=lambda: now[0])
    await cached.headers("shop", WANTED)
    for _ in range(3):
        with pytest.raises(SecretValueError):
            await cached.headers("bank", WANTED)
    assert vault.asked == 2
    vault.values["bank", "partner", "token"] = "mended"
    now[0] += 6
    assert await cached.headers("bank", WANTED) == [("X-Key", "mended")]


async def test_it_holds_no_more_than_a_thousand_values() -> None:
    vault = Vault({("shop", "partner", f"k{number}"): "v" for number in range(1500)})
    cached = CachedSecrets(vault)
    for number in range(1500):
        await cached.headers("shop", [("X-Key", "partner", f"k{number}")])
    for number, asked in ((1499, 1500), (0, 1501)):
        await cached.headers("shop", [("X-Key", "partner", f"k{number}")])
        assert vault.asked == asked
