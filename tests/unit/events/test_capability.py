import pytest

from lambdaagent.events.capability import Use, sign, verify

OLD, NEW = b"o" * 32, b"n" * 32
RIGHT = {"namespace": "shop", "use": Use.FROM, "agent": "cart"}


def test_a_signed_segment_verifies_for_exactly_what_it_was_signed_for() -> None:
    segment = sign({"k1": NEW}, **RIGHT)
    assert verify(segment, keys={"k1": NEW}, **RIGHT)
    assert segment.startswith("k1.")
    assert "=" not in segment


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**RIGHT, "namespace": "bank"}, id="another namespace"),
        pytest.param({**RIGHT, "use": Use.TO}, id="another use"),
        pytest.param({**RIGHT, "agent": "till"}, id="another agent"),
        pytest.param({"namespace": "sho", "use": "pfrom", "agent": "cart"}, id="the same letters, cut elsewhere"),
    ],
)
def test_a_segment_is_worth_nothing_elsewhere(other: dict[str, str]) -> None:
    assert not verify(sign({"k1": NEW}, **RIGHT), keys={"k1": NEW}, **other)


def test_the_first_key_signs_and_every_key_verifies_while_it_is_rotated_out() -> None:
    old = sign({"k1": OLD}, **RIGHT)
    both = {"k2": NEW, "k1": OLD}
    assert sign(both, **RIGHT).startswith("k2.")
    assert verify(old, keys=both, **RIGHT)
    assert not verify(old, keys={"k2": NEW}, **RIGHT)


@pytest.mark.parametrize("segment", ["", ".", "k1", "k1.", "k1.ä", "k1.\ud800", "k9.abc", "k1." + "A" * 43])
def test_junk_is_refused_without_an_exception(segment: str) -> None:
    assert not verify(segment, keys={"k1": NEW}, **RIGHT)
