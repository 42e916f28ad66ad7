"""What the documents say about the code, compared with the code."""

import re
import tomllib
from pathlib import Path

from docs import generate

ROOT = Path(__file__).parents[2]


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "docs/decisions/0002-dependencies.md").read_text()
    extras = project["project"]["optional-dependencies"].values()
    groups = [project["project"]["dependencies"], *extras, project["dependency-groups"]["test"]]
    names = [re.split(r"[\[>=]", line)[0] for group in groups for line in group]
    assert [name for name in names if name not in text] == []


def test_every_setting_is_in_the_reference() -> None:
    from lambdaagent.settings import GatewaySettings, OperatorSettings, SidecarSettings

    text = (ROOT / "docs/reference/settings.md").read_text()
    fields = {**OperatorSettings.model_fields, **GatewaySettings.model_fields, **SidecarSettings.model_fields}
    names = [str(field.validation_alias or f"LAMBDAAGENT_{name.upper()}") for name, field in fields.items()]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_reference_of_fields_is_the_generated_one() -> None:
    assert (ROOT / "docs/reference/lambdaagent.md").read_text() == generate.page(), "run make reference"


def test_the_reference_of_routes_is_the_generated_one() -> None:
    assert (ROOT / "docs/reference/http.md").read_text() == generate.http_page(), "run make reference"


def anchors(path: Path) -> set[str]:
    """Returns the anchors that GitHub makes of a document's headings."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"`[^`\n]*`", "", path.read_text())  # patterns in code look like links
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_every_file_that_a_reader_is_sent_to_exists() -> None:
    missing = []
    for path in sorted((ROOT / "docs/architecture").glob("*.md")):
        for name in re.findall(r"`(/?[a-z0-9_]+(?:/[a-z0-9_]+)*(?:\.py|\.md|\.yaml|/))`", path.read_text()):
            base = ROOT if name.startswith("/") else ROOT / "operator/lambdaagent"
            if not (base / name.lstrip("/")).exists():
                missing.append(f"{path.name}: {name}")
    assert missing == []


def test_each_test_that_shows_a_requirement_exists() -> None:
    text = (ROOT / "docs/reference/requirements.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| ") and not row.startswith(("| ---", "| Demand"))]
    assert len(rows) > 60
    missing = []
    for row in rows:
        folder = ""
        named = re.findall(r"`((?:unit|integration|e2e)/[\w/]+\.py|test_\w+\.py|make [\w-]+)`", row)
        assert named, row
        for name in named:
            folder = name.rpartition("/")[0] if "/" in name else folder
            path = name if "/" in name else f"{folder}/{name}"
            if not name.startswith("make ") and not (ROOT / "tests" / path).is_file():
                missing.append(path)
    assert missing == []
