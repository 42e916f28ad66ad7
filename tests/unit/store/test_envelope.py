"""The envelope of sealed values: it opens in its own place with its own key, and is never confused with data."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lambdaagent.store.envelope import HEAD, MARK, UNKNOWN, Keyring, escaped, kid_of, place
from lambdaagent.store.errors import SealedValueError

KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}
RING = Keyring(KEYS)
HERE = place("tasks", "body", "t", "shop", "cart", "anonymous")


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_again_as_bytes_and_as_text(plain: bytes) -> None:
    sealed, text = RING.seal(plain, HERE), RING.seal_text(plain, HERE)
    assert RING.open(sealed, HERE) == RING.open_text(text, HERE) == plain
    assert kid_of(sealed) == kid_of(sealed[:HEAD]) == kid_of(text) == kid_of(text[:HEAD]) == "k1"


def test_no_two_envelopes_are_equal() -> None:
    assert len({RING.seal(b"same", HERE) for _ in range(100)}) == 100


@given(st.binary(max_size=60), st.data())
def test_no_bit_may_change(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(RING.seal(plain, HERE))
    bit = data.draw(st.integers(8, 8 * len(sealed) - 1))  # the first byte makes it an envelope
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealedValueError):
        RING.open(bytes(sealed), HERE)


@given(st.binary(max_size=60), st.data())
def test_no_character_of_the_text_may_change(plain: bytes, data: st.DataObject) -> None:
    text = RING.seal_text(plain, HERE)
    place = data.draw(st.integers(1, len(text) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"]))
    assume(other != text[place])
    with pytest.raises(SealedValueError):
        RING.open_text(text[:place] + other + text[place + 1 :], HERE)


@given(st.binary(max_size=60), st.data())
def test_what_is_cut_off_does_not_open(plain: bytes, data: st.DataObject) -> None:
    sealed, text = RING.seal(plain, HERE), RING.seal_text(plain, HERE)
    with pytest.raises(SealedValueError):
        RING.open(sealed[: data.draw(st.integers(1, len(sealed) - 1))], HERE)
    with pytest.raises(SealedValueError):
        RING.open_text(text[: data.draw(st.integers(1, len(text) - 1))], HERE)


WORD = st.text(max_size=8)


@given(st.tuples(WORD, WORD, WORD, WORD), st.tuples(WORD, WORD, WORD, WORD))
def test_a_value_opens_in_its_own_place_only(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    sealed = RING.seal(b"x", place(*one))
    same = [part.replace("\0", "\u2400") for part in one] == [part.replace("\0", "\u2400") for part in other]
    if same:
        assert RING.open(sealed, place(*other)) == b"x"
        return
    with pytest.raises(SealedValueError, match="cannot be decrypted with the key k1"):
        RING.open(sealed, place(*other))


def test_a_place_is_the_same_after_postgresql_has_replaced_nul() -> None:
    assert place("tasks", "body", "a\0b") == place("tasks", "body", "a\u2400b")
    assert place("tasks", "body", "a\\u0000b") != place("tasks", "body", "a\0b")


def test_every_key_opens_and_the_first_one_seals() -> None:
    sealed = RING.seal(b"x", HERE)
    turned = Keyring(dict(reversed(KEYS.items())))
    assert kid_of(turned.seal(b"x", HERE)) == "k2"
    assert turned.open(sealed, HERE) == b"x"


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SealedValueError, match=r"the key k1, which LAMBDAAGENT_STORE_KEYS does not contain") as refused:
        Keyring({"k2": KEYS["k2"]}).open(RING.seal(b"x", HERE), HERE)
    assert (refused.value.kid, refused.value.missing) == ("k1", True)


@pytest.mark.parametrize("keys", [{"k1": b"3" * 32}, {"k1": KEYS["k2"], "k2": KEYS["k1"]}])
def test_another_key_under_the_same_id_does_not_open(keys: dict[str, bytes]) -> None:
    with pytest.raises(SealedValueError, match="cannot be decrypted") as refused:
        Keyring(keys).open(RING.seal(b"x", HERE), HERE)
    assert (refused.value.kid, refused.value.missing) == ("k1", False)


def test_the_id_of_the_key_is_part_of_the_seal() -> None:
    both = Keyring({"k1": KEYS["k1"], "kA": KEYS["k1"]})
    with pytest.raises(SealedValueError):
        both.open(both.seal(b"x", HERE).replace(b"k1", b"kA", 1), HERE)


@given(st.binary(max_size=60))
def test_plain_data_is_never_taken_for_an_envelope(plain: bytes) -> None:
    for each in (plain, MARK + plain, b"\x01plain|" + plain, b"\x01v1|k1|" + plain, RING.seal(plain, HERE)):
        assert kid_of(escaped(each)) is None
        assert RING.open(escaped(each), HERE) == each


@given(st.text(max_size=30))
def test_plain_text_stays_as_it_is(plain: str) -> None:
    text = escaped(plain.encode()).decode()
    assert RING.open_text(text, HERE) == plain.encode()
    assert text == plain or plain.startswith("\x01")


@pytest.mark.parametrize("stored", [MARK, b"\x01v2|k1|x", b"\x01v1|k-1|x", b"\x01v1||x", b"\x01v1|" + b"k" * 33 + b"|"])
def test_an_envelope_of_an_unknown_form_is_refused(stored: bytes) -> None:
    assert kid_of(stored) == UNKNOWN
    with pytest.raises(SealedValueError, match="does not know"):
        RING.open(stored, HERE)
