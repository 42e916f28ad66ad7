"""Who may do what: a table of cases, and properties that hold for all rules.

`expected` is a second and naive form of the decision: the formula of the design, without an order and without reasons.
"""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.parts.gateway import manifest, skill

from lambdaagent.access.actions import Action
from lambdaagent.access.decide import PUBLIC, Decision, decide, is_admin, skills
from lambdaagent.access.principal import ANONYMOUS, Principal
from lambdaagent.access.rules import AgentRules, Grant, InstallationRules, of_agent
from lambdaagent.api.agent import parse

NOBODY = AgentRules("shop", "echo")
OPEN = InstallationRules(allow_public=True)
CLOSED = InstallationRules()
ALICE = Principal(
    "corp:alice", source="corp", groups=frozenset({"corp:staff"}), claims={"team": frozenset({"payments", "search"})}
)
KEY = Principal("key:ci", source="key", groups=frozenset({"builders"}))
ORDERS = Principal("agent:shop/orders", source="agent", actors=("corp:alice",))
CHECKOUT = Principal(
    "system:serviceaccount:shop:checkout",
    source="kubernetes",
    groups=frozenset({"system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"}),
)


def rules(*grants: dict[str, Any], public: bool = False, namespace: str = "shop") -> AgentRules:
    """Returns the rules of an agent with these grants, as its resource holds them."""
    access = {"public": public, "grants": list(grants)}
    a2a = {"enabled": True, "skills": [skill("quote"), skill("order")], "access": access}
    return of_agent(parse(manifest("echo", namespace=namespace, a2a=a2a)))


def claimed(**claims: list[str]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, frozenset(values)) for name, values in claims.items())


GRANTS = [
    pytest.param(ALICE, {"principals": ["corp:alice"]}, True, id="by name"),
    pytest.param(ALICE, {"principals": ["corp:bob", "corp:alice"]}, True, id="by one of the names"),
    pytest.param(ALICE, {"principals": ["corp:alic"]}, False, id="the beginning of a name"),
    pytest.param(ALICE, {"principals": ["corp:Alice"]}, False, id="a name in another case"),
    pytest.param(ALICE, {"principals": ["other:alice"]}, False, id="the same subject of another issuer"),
    pytest.param(ALICE, {"principals": ["corp:*"]}, False, id="an asterisk is a name"),
    pytest.param(ALICE, {"principals": ["corp:staff"]}, False, id="a group is no name"),
    pytest.param(ALICE, {"groups": ["corp:staff"]}, True, id="by group"),
    pytest.param(ALICE, {"groups": ["staff"]}, False, id="a group without its issuer"),
    pytest.param(ALICE, {"groups": ["corp:alice"]}, False, id="a name is no group"),
    pytest.param(ALICE, {"principals": ["corp:bob"], "groups": ["corp:staff"]}, True, id="a group beside names"),
    pytest.param(ALICE, {"claims": {"team": ["search"]}}, True, id="by a claim"),
    pytest.param(ALICE, {"claims": {"team": ["sales", "search"]}}, True, id="by one of a claim's values"),
    pytest.param(ALICE, {"claims": {"team": ["sales"]}}, False, id="another value"),
    pytest.param(ALICE, {"claims": {"team": ["search"], "mfa": ["true"]}}, False, id="one claim of two"),
    pytest.param(ALICE, {"principals": ["corp:bob"], "claims": {"team": ["search"]}}, False, id="the claim alone"),
    pytest.param(ALICE, {"groups": ["corp:staff"], "claims": {"team": ["sales"]}}, False, id="the group alone"),
    pytest.param(ALICE, {"groups": ["corp:staff"], "claims": {"team": ["search"]}}, True, id="a group and the claim"),
    pytest.param(ALICE, {"serviceAccounts": ["shop/alice"]}, False, id="a ServiceAccount of the same name"),
    pytest.param(KEY, {"principals": ["key:ci"]}, True, id="an API key"),
    pytest.param(KEY, {"principals": ["hmac:ci"]}, False, id="the id of an HMAC key"),
    pytest.param(KEY, {"groups": ["builders"]}, True, id="an API key by its group"),
    pytest.param(KEY, {"principals": ["key:ci"], "claims": {"team": ["search"]}}, False, id="a key has no claims"),
    pytest.param(ORDERS, {"principals": ["agent:shop/orders"]}, True, id="an agent"),
    pytest.param(ORDERS, {"principals": ["agent:store/orders"]}, False, id="an agent of another namespace"),
    pytest.param(ORDERS, {"principals": ["corp:alice"]}, False, id="for whom an agent calls"),
    pytest.param(CHECKOUT, {"serviceAccounts": ["shop/checkout"]}, True, id="a ServiceAccount"),
    pytest.param(CHECKOUT, {"serviceAccounts": ["shop/*"]}, True, id="all ServiceAccounts of a namespace"),
    pytest.param(CHECKOUT, {"serviceAccounts": ["shop2/*"]}, False, id="those of another namespace"),
    pytest.param(CHECKOUT, {"serviceAccounts": ["store/checkout"]}, False, id="a ServiceAccount elsewhere"),
    pytest.param(CHECKOUT, {"groups": ["system:authenticated"]}, True, id="a group of the cluster"),
    pytest.param(ANONYMOUS, {"principals": ["corp:alice"]}, False, id="nobody"),
    pytest.param(ANONYMOUS, {"principals": ["anonymous:x"], "groups": ["anonymous"]}, False, id="nobody as a group"),
]


@pytest.mark.parametrize(("principal", "grant", "allowed"), GRANTS)
def test_a_grant_admits_whom_it_names(principal: Principal, grant: dict[str, Any], allowed: bool) -> None:
    agent = rules(grant)
    for action in (Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH, Action.CARD, Action.DISCOVER):
        found = decide(principal, action, agent, CLOSED)
        assert found.allowed is allowed
        assert found.rule == ("grants[0]" if allowed else "anonymous" if principal.anonymous else "default")


@pytest.mark.parametrize("principal", [ALICE, KEY, ORDERS, CHECKOUT, ANONYMOUS])
@pytest.mark.parametrize("action", list(Action))
def test_without_a_rule_nobody_may_do_anything(principal: Principal, action: Action) -> None:
    for installation in (CLOSED, OPEN):
        found = decide(principal, action, NOBODY, installation)
        assert (found.allowed, found.rule) == (False, "anonymous" if principal.anonymous else "default")


@pytest.mark.parametrize(
    ("grant", "action", "skill_", "allowed"),
    [
        pytest.param({"actions": ["read"]}, Action.READ, None, True, id="its action"),
        pytest.param({"actions": ["read"]}, Action.INVOKE, None, False, id="another action"),
        pytest.param({"actions": ["read"]}, Action.DISCOVER, None, True, id="to know of the agent"),
        pytest.param({"skills": ["quote"]}, Action.INVOKE, "quote", True, id="its skill"),
        pytest.param({"skills": ["quote"]}, Action.INVOKE, "order", False, id="another skill"),
        pytest.param({"skills": ["quote"]}, Action.INVOKE, "Quote", False, id="its skill in another case"),
        pytest.param({"skills": ["quote"]}, Action.INVOKE, "", False, id="a skill without a name"),
        pytest.param({"skills": ["quote"]}, Action.INVOKE, None, True, id="a request that names no skill yet"),
        pytest.param({"skills": ["quote"], "actions": ["read"]}, Action.INVOKE, "quote", False, id="not to call it"),
        pytest.param({"skills": ["quote"]}, Action.DISCOVER, "order", True, id="to know of it with another skill"),
    ],
)
def test_a_grant_is_for_its_actions_and_skills(
    grant: dict[str, Any], action: Action, skill_: str | None, allowed: bool
) -> None:
    agent = rules({"principals": ["corp:alice"], **grant})
    assert decide(ALICE, action, agent, CLOSED, skill=skill_).allowed is allowed


@pytest.mark.parametrize("action", list(Action))
def test_what_a_grant_cannot_name_no_grant_gives(action: Action) -> None:
    """Events, probes and dead letters are no business of an agent's grants, also of those for all actions."""
    nameable = {Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH, Action.CARD, Action.DISCOVER}
    assert decide(ALICE, action, rules({"principals": ["corp:alice"]}), CLOSED).allowed is (action in nameable)


@pytest.mark.parametrize("action", list(Action))
def test_a_public_agent_is_open_to_all_within_bounds(action: Action) -> None:
    agent = rules(public=True)
    for principal in (ANONYMOUS, ALICE, KEY):
        found = decide(principal, action, agent, OPEN)
        assert found.allowed is (action in PUBLIC)
        assert not decide(principal, action, agent, CLOSED).allowed
    assert Action.CARD not in PUBLIC  # the extended card needs a principal
    assert decide(ANONYMOUS, Action.INVOKE, agent, CLOSED).rule == "ceiling.allowPublic"
    assert decide(ANONYMOUS, Action.INVOKE, rules(), OPEN).rule == "anonymous"


def test_an_administrator_is_named_by_name_or_group_and_never_anonymous() -> None:
    for admins in ({"corp:alice"}, {"group:corp:staff"}, {"corp:alice", "anonymous"}):
        installation = InstallationRules(admins=frozenset(admins))
        assert decide(ALICE, Action.CARD, NOBODY, installation) == Decision(
            True, "admins", "the installation names the caller as an administrator"
        )
        assert not decide(KEY, Action.CARD, NOBODY, installation).allowed
        assert not decide(ANONYMOUS, Action.INVOKE, NOBODY, installation).allowed
    assert not is_admin(Principal("anonymous"), InstallationRules(admins=frozenset({"anonymous"})))


@pytest.mark.parametrize(
    ("ceiling", "rule"),
    [
        pytest.param({"namespaces": frozenset({"store"})}, "ceiling.namespaces", id="namespaces"),
        pytest.param({"namespaces": frozenset()}, "ceiling.namespaces", id="no namespace"),
        pytest.param({"issuers": frozenset({"other"})}, "ceiling.issuers", id="issuers"),
        pytest.param({"issuers": frozenset()}, "ceiling.issuers", id="no issuer"),
        pytest.param({"required_claims": claimed(mfa=["true"])}, "ceiling.requiredClaims", id="an absent claim"),
        pytest.param({"required_claims": claimed(team=["sales"])}, "ceiling.requiredClaims", id="another value"),
        pytest.param({"required_claims": claimed(team=[])}, "ceiling.requiredClaims", id="no value suffices"),
        pytest.param({"required_claims": claimed(team=["search"], mfa=["true"])}, "ceiling.requiredClaims", id="both"),
    ],
)
def test_nothing_exceeds_the_ceiling(ceiling: dict[str, Any], rule: str) -> None:
    """Neither a grant nor RBAC nor being an administrator: whoever may edit an agent would otherwise lift it."""
    agent = rules({"principals": ["corp:alice"]}, {"groups": ["corp:staff"]})
    for admins in (frozenset[str](), frozenset({"corp:alice"})):
        installation = InstallationRules(admins=admins, **ceiling)
        for action in Action:
            found = decide(ALICE, action, agent, installation, rbac=True)
            assert (found.allowed, found.rule) == (False, rule)


@pytest.mark.parametrize("principal", [KEY, ORDERS, CHECKOUT])
def test_issuers_and_claims_of_the_ceiling_are_about_tokens_of_issuers(principal: Principal) -> None:
    agent = rules({"principals": ["key:ci", "agent:shop/orders"], "serviceAccounts": ["shop/checkout"]})
    installation = InstallationRules(issuers=frozenset(), required_claims=claimed(mfa=["true"]))
    assert decide(principal, Action.INVOKE, agent, installation).allowed


@pytest.mark.parametrize(
    ("rbac", "allowed", "rule"), [(None, False, "default"), (False, False, "default"), (True, True, "rbac")]
)
def test_what_rbac_allows_is_added(rbac: bool | None, allowed: bool, rule: str) -> None:
    found = decide(ALICE, Action.INVOKE, NOBODY, CLOSED, rbac=rbac)
    assert (found.allowed, found.rule) == (allowed, rule)
    assert ("RBAC" in found.reason) is (rbac is not None)


def test_rbac_is_nothing_to_the_anonymous() -> None:
    assert not decide(ANONYMOUS, Action.INVOKE, NOBODY, OPEN, rbac=True).allowed


# Few names, so that rules and callers meet often.
_ISSUERS = ("corp", "other")
_SOURCES = (*_ISSUERS, "key", "hmac", "agent", "kubernetes")
_NAMES = tuple(f"{source}:{name}" for source in ("corp", "other", "key", "agent") for name in ("a", "b"))
_ACCOUNTS = ("system:serviceaccount:shop:a", "system:serviceaccount:store:a")
_GROUPS = ("corp:g", "other:g", "builders", "system:serviceaccounts:shop")
_SKILLS = ("quote", "order")
_VALUES = st.frozensets(st.sampled_from(("x", "y")), min_size=1)


def _some(values: tuple[Any, ...]) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values), max_size=3)


_CLAIMS = st.dictionaries(st.sampled_from(("team", "mfa")), _VALUES)


@st.composite
def principals(draw: st.DrawFn) -> Principal:
    source = draw(st.sampled_from(("", *_SOURCES)))
    if not source:
        return ANONYMOUS
    if source == "kubernetes":
        name, groups = draw(st.sampled_from(_ACCOUNTS)), frozenset({"system:serviceaccounts:shop"})
        return Principal(name, source=source, groups=draw(st.sampled_from((groups, frozenset()))))
    of_issuer = source in _ISSUERS
    groups = draw(_some(tuple(each for each in _GROUPS if not of_issuer or each.startswith(source))))
    name = f"{source}:{draw(st.sampled_from(('a', 'b')))}"
    return Principal(name, source=source, groups=groups, claims=draw(_CLAIMS) if of_issuer else {})


grants = st.builds(
    Grant,
    names=_some((*_NAMES, *_ACCOUNTS, "anonymous")),
    groups=_some(_GROUPS),
    claims=_CLAIMS.map(lambda found: tuple(found.items())),
    skills=_some(_SKILLS),
    actions=_some((Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH, Action.CARD)),
)
agents = st.builds(
    AgentRules,
    namespace=st.sampled_from(("shop", "store")),
    name=st.just("echo"),
    public=st.booleans(),
    grants=st.lists(grants, max_size=4).map(tuple),
)
installations = st.builds(
    InstallationRules,
    allow_public=st.booleans(),
    issuers=st.none() | _some(_ISSUERS),
    namespaces=st.none() | _some(("shop", "store")),
    required_claims=st.just(()) | _CLAIMS.map(lambda found: tuple(found.items())),
    admins=st.sampled_from(
        [
            frozenset(),
            frozenset({"corp:a", "key:a", "anonymous"}),
            frozenset({"group:corp:g", "other:b", f"group:{_ACCOUNTS[0]}"}),
        ]
    ),
)
actions = st.sampled_from([Action.INVOKE, Action.READ, Action.CANCEL, Action.PUSH, Action.CARD, Action.DISCOVER])
asked = st.none() | st.sampled_from(("quote", "order", "hidden"))
answers = st.none() | st.booleans()


def matches(grant: Grant, principal: Principal, action: Action, skill_: str | None) -> bool:
    named = principal.name in grant.names or any(group in grant.groups for group in principal.groups)
    nameless = not grant.names and not grant.groups
    if not (named or (nameless and grant.claims)):
        return False
    if any(not set(values) & set(principal.claims.get(name, ())) for name, values in grant.claims):
        return False
    if action is Action.DISCOVER:
        return True
    return (not grant.actions or action in grant.actions) and (
        not grant.skills or skill_ is None or skill_ in grant.skills
    )


def expected(
    principal: Principal,
    action: Action,
    agent: AgentRules,
    installation: InstallationRules,
    skill_: str | None,
    rbac: bool | None,
) -> bool:
    served = installation.namespaces is None or agent.namespace in installation.namespaces
    admitted = principal.source not in _ISSUERS or (
        (installation.issuers is None or principal.source in installation.issuers)
        and all(set(values) & set(principal.claims.get(name, ())) for name, values in installation.required_claims)
    )
    public = agent.public and installation.allow_public and action is not Action.CARD
    admin = principal.name in installation.admins or any(
        f"group:{group}" in installation.admins for group in principal.groups
    )
    granted = any(matches(grant, principal, action, skill_) for grant in agent.grants)
    known = principal is not ANONYMOUS
    return served and (public or (known and admitted and (admin or granted or rbac is True)))


@settings(max_examples=500, deadline=None)
@given(principals(), actions, agents, installations, asked, answers)
def test_the_decision_is_the_formula_of_the_design(
    principal: Principal,
    action: Action,
    agent: AgentRules,
    installation: InstallationRules,
    skill_: str | None,
    rbac: bool | None,
) -> None:
    found = decide(principal, action, agent, installation, skill=skill_, rbac=rbac)
    assert found.allowed is expected(principal, action, agent, installation, skill_, rbac)


@settings(deadline=None)
@given(principals(), actions, agents, installations, asked, answers, grants, st.integers(0, 4))
def test_another_grant_never_takes_a_right_away(
    principal: Principal,
    action: Action,
    agent: AgentRules,
    installation: InstallationRules,
    skill_: str | None,
    rbac: bool | None,
    grant: Grant,
    place: int,
) -> None:
    more = replace(agent, grants=(*agent.grants[:place], grant, *agent.grants[place:]))
    before = decide(principal, action, agent, installation, skill=skill_, rbac=rbac)
    after = decide(principal, action, more, installation, skill=skill_, rbac=rbac)
    assert after.allowed >= before.allowed
    may = skills(principal, agent, installation)
    may_now = skills(principal, more, installation)
    assert may_now is None or (may is not None and may_now >= may)


@settings(deadline=None)
@given(principals(), actions, agents, installations, asked, answers)
def test_a_lower_ceiling_never_gives_a_right(
    principal: Principal,
    action: Action,
    agent: AgentRules,
    installation: InstallationRules,
    skill_: str | None,
    rbac: bool | None,
) -> None:
    high = replace(installation, issuers=None, namespaces=None, required_claims=(), allow_public=True)
    below = decide(principal, action, agent, high, skill=skill_, rbac=rbac)
    found = decide(principal, action, agent, installation, skill=skill_, rbac=rbac)
    assert below.allowed >= found.allowed
    if found.rule.startswith("ceiling."):
        # No grant, no administrator and no answer of the cluster changes it.
        everybody = Grant(frozenset({principal.name}), frozenset(), (), frozenset(), frozenset())
        admins = replace(installation, admins=frozenset({principal.name}))
        assert not decide(principal, action, replace(agent, grants=(everybody,)), admins, rbac=True).allowed


@settings(deadline=None)
@given(principals(), actions, agents, installations, asked, answers)
def test_the_explanation_names_what_decides(
    principal: Principal,
    action: Action,
    agent: AgentRules,
    installation: InstallationRules,
    skill_: str | None,
    rbac: bool | None,
) -> None:
    """Without the rule that the explanation names, the decision is another one, or another rule makes it."""
    found = decide(principal, action, agent, installation, skill=skill_, rbac=rbac)
    assert found.reason
    without: Decision
    match found.rule:
        case "admins":
            other = replace(installation, admins=frozenset())
            without = decide(principal, action, agent, other, skill=skill_, rbac=rbac)
        case "public":
            without = decide(principal, action, replace(agent, public=False), installation, skill=skill_, rbac=rbac)
        case "rbac":
            without = decide(principal, action, agent, installation, skill=skill_, rbac=False)
            assert not without.allowed
        case "ceiling.namespaces":
            without = decide(principal, action, agent, replace(installation, namespaces=None), skill=skill_, rbac=rbac)
        case "ceiling.issuers":
            without = decide(principal, action, agent, replace(installation, issuers=None), skill=skill_, rbac=rbac)
        case "ceiling.requiredClaims":
            other = replace(installation, required_claims=())
            without = decide(principal, action, agent, other, skill=skill_, rbac=rbac)
        case "ceiling.allowPublic":
            without = decide(
                principal, action, agent, replace(installation, allow_public=True), skill=skill_, rbac=rbac
            )
        case "anonymous":
            assert principal.anonymous
            return
        case "default":
            assert not any(matches(grant, principal, action, skill_) for grant in agent.grants)
            return
        case rule:
            index = int(re.fullmatch(r"grants\[(\d+)]", rule)[1])  # type: ignore[index]
            assert matches(agent.grants[index], principal, action, skill_)
            fewer = replace(agent, grants=agent.grants[:index] + agent.grants[index + 1 :])
            without = decide(principal, action, fewer, installation, skill=skill_, rbac=rbac)
            assert without != found or matches(agent.grants[index + 1], principal, action, skill_)
            return
    assert without.rule != found.rule


@settings(deadline=None)
@given(actions, agents, installations, asked, answers)
def test_the_anonymous_get_nothing_but_what_is_public(
    action: Action, agent: AgentRules, installation: InstallationRules, skill_: str | None, rbac: bool | None
) -> None:
    found = decide(ANONYMOUS, action, agent, installation, skill=skill_, rbac=rbac)
    if found.allowed:
        assert agent.public and installation.allow_public and action in PUBLIC and found.rule == "public"
    if not (agent.public and installation.allow_public):
        assert not found.allowed


@settings(deadline=None)
@given(principals(), agents, installations, answers)
def test_the_listed_skills_are_those_that_may_be_called(
    principal: Principal, agent: AgentRules, installation: InstallationRules, rbac: bool | None
) -> None:
    if not decide(principal, Action.INVOKE, agent, installation, rbac=rbac).allowed:
        return
    found = skills(principal, agent, installation, rbac=rbac is True)
    for each in (*_SKILLS, "hidden"):
        allowed = decide(principal, Action.INVOKE, agent, installation, skill=each, rbac=rbac).allowed
        assert allowed is (found is None or each in found)


@settings(deadline=None)
@given(principals(), actions, agents, installations, answers)
def test_whoever_may_do_something_may_know_of_the_agent(
    principal: Principal, action: Action, agent: AgentRules, installation: InstallationRules, rbac: bool | None
) -> None:
    if decide(principal, action, agent, installation, rbac=rbac).allowed:
        assert decide(principal, Action.DISCOVER, agent, installation, rbac=rbac).allowed


@pytest.mark.parametrize("action", list(Action))
def test_for_whom_the_gateway_vouches_may_do_what_the_gateway_sends(action: Action) -> None:
    sent = {Action.DISCOVER, Action.INVOKE, Action.READ, Action.CANCEL}
    vouched = Principal("corp:alice", source="gateway")
    for agent in (NOBODY, rules({"principals": ["corp:alice"]})):
        assert decide(vouched, action, agent, CLOSED) == decide(vouched, action, agent, OPEN)
        assert decide(vouched, action, agent, CLOSED).allowed is (action in sent)
