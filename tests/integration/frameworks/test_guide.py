"""The guide has a row for every example, with what its LambdaAgent says."""

from pathlib import Path

import pytest
import yaml
from tests.integration.frameworks.servers import EXAMPLES, NAMES

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "frameworks.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_says_what_the_example_says(name: str) -> None:
    (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| `{name}` |")]
    a2a = yaml.safe_load((EXAMPLES / name / "agent.yaml").read_text())["spec"]["a2a"]
    assert ("`a2a.skills`" in row) == ("skills" in a2a)
    for field in a2a.get("container", {}):
        assert f"`{field}: " in row
