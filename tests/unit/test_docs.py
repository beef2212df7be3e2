"""The documents say what the code says, as far as a test can read."""

import re
import tomllib
from pathlib import Path

import pytest

from ifood_actors.cli.work import config_page
from ifood_actors.figures import RULES
from ifood_actors.ledger import JobResult
from ifood_actors.ledger.states import TRANSITIONS, Act, JobStatus, diagram
from ifood_actors.notation import format_duration

ROOT = Path(__file__).parents[2]
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("scripts/*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text()
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()
_SCRIPTS = ROOT / "scripts" / "README.md"

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_leads_somewhere(page):
    links = [target for target, _ in _LINK.findall(_FENCED.sub("", page.read_text()))]

    broken = [to for to in links if "://" not in to and not (page.parent / to).exists()]

    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_line_of_prose_holds_one_sentence(page):
    prose = _FENCED.sub("", page.read_text()).splitlines()

    several = [line for line in prose if re.match(r"[A-Z`].*\w{3}\. [A-Z]", line)]

    assert not several


@pytest.mark.parametrize("decision", DECISIONS, ids=_name)
def test_a_decision_has_its_number_and_its_four_headings(decision):
    title, *headings = re.findall(r"^#+ .+$", decision.read_text(), re.MULTILINE)

    assert title.startswith(f"# {int(decision.name[:4])}. ")
    assert headings == ["## Context", "## Decision", "## Consequences", "## Alternatives"]


def test_decisions_are_numbered_without_a_gap():
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_decision_is_listed():
    index = (ROOT / "docs" / "README.md").read_text()

    assert [page.name for page in DECISIONS if f"decisions/{page.name}" not in index] == []


def test_the_picture_of_the_states_is_drawn_from_the_table():
    drawn = f"```mermaid\n{diagram()}\n```"
    assert drawn in ARCHITECTURE, "stale: run `python -m scripts.generate`"


def test_the_table_of_acts_tells_who_does_each():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", ARCHITECTURE, re.MULTILINE)
    told = {act: by for acts, by in rows for act in re.findall(r"`(\w+)`", acts) if act in {*Act}}

    by = {act: [each.by for each in TRANSITIONS.values() if each.act is act] for act in Act}
    assert told == {act: ", or ".join(dict.fromkeys(names)) for act, names in by.items()}


def test_the_modules_that_do_no_io_are_those_that_import_linter_watches():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [pure] = [each for each in settings["contracts"] if each["name"] == "What decides does no I/O"]
    [told] = re.findall(r"^What decides does no I/O, .*$", ARCHITECTURE, re.MULTILINE)

    watched = {name.removeprefix("ifood_actors.") for name in pure["source_modules"]}
    assert {each.replace("/", ".") for each in re.findall(r"`([\w/]+)\.py`", told)} == watched
    assert "allow_indirect_imports" not in pure


def test_the_data_model_names_every_value_of_a_result():
    page = (ROOT / "docs" / "data-model.md").read_text()
    [told] = re.findall(r"^\| `result` \| (.*)$", page, re.MULTILINE)

    assert re.findall(r"`(\w+)`", told) == [*JobResult().to_json()]


@pytest.mark.parametrize("word", [*JobStatus, *Act])
def test_every_status_and_act_is_told(word):
    assert re.search(rf"\b{word}\b", ARCHITECTURE)


def test_every_error_code_that_a_job_can_have_is_explained_to_operators():
    never_stored = {"throttled", "lease_lost"}
    errors = (ROOT / "src/ifood_actors/errors.py").read_text()
    stored = set(re.findall(r'^    code.* = "(\w+)"$', errors, re.MULTILINE)) - never_stored
    stored |= set(re.findall(r"error_code = '(\w+)'", SOURCES))

    told = OPERATIONS.partition("## What each error_code means")[2]
    explained = set(re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE))

    assert explained == stored


def test_every_class_and_constant_that_the_glossary_names_exists():
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", GLOSSARY))

    assert {
        name
        for name in named
        if not re.search(rf"^(class {name}\b|{name}\b.* = )", SOURCES, re.MULTILINE)
    } == set()


def test_every_column_table_and_function_that_the_glossary_names_exists():
    named = set(re.findall(r"`([a-z_]+)`", GLOSSARY))

    assert {name for name in named if not re.search(rf"\b{name}\b", SOURCES)} == set()


def test_every_setting_that_a_page_names_exists():
    known = set(re.findall(r"`(IFOOD_\w+)`", config_page.markdown()))
    named = {
        (_name(page), name)
        for page in PAGES
        if page.name not in {"adding_a_feed.md", "adding_an_alert.md"}  # they add one
        for name in re.findall(r"IFOOD_[A-Z_]+", page.read_text())
    }

    assert {(page, name) for page, name in named if name not in known} == set()


def test_the_page_of_settings_is_what_the_settings_say():
    assert (ROOT / "docs" / "configuration.md").read_text() == config_page.markdown()


def test_the_first_page_fits_a_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 70


def test_the_systems_beside_ours_are_those_that_are_pinned():
    pinned = (ROOT / "scripts/benchmarks/peers/requirements.txt").read_text()
    [header] = re.findall(r"^\| \| ours \|.*$", PERFORMANCE, re.MULTILINE)

    compared = re.findall(r"\| (\w+) ([\d.]+)", header)

    assert {name.lower() for name, _ in compared} == {"procrastinate", "pgqueuer", "dramatiq"}
    assert [one for one in compared if f"\n{'=='.join(one).lower()} " not in pinned] == []


def test_every_script_has_its_line():
    scripts = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file()}
    listed = set(re.findall(r"^\| `(\w+)", _SCRIPTS.read_text(), re.MULTILINE))

    assert scripts - {"README.md", "doors.py"} == listed  # a module that `check` reads


def test_every_test_that_shows_a_promise_exists():
    wanted = re.findall(r"`(\w+/test_\w+\.py)::(test_\w+)`", RELIABILITY)

    assert wanted
    assert [(file, name) for file, name in wanted if name not in _tests(file)] == []


def test_every_test_that_a_table_of_faults_names_exists():
    _, *parts = re.split(r"^\*\*\w+\*\*, `(chaos/test_\w+\.py)`", RELIABILITY, flags=re.MULTILINE)
    tables = dict(zip(parts[::2], parts[1::2], strict=True))
    wanted = [(file, name) for file in tables for name in re.findall(r"`(test_\w+)`", tables[file])]

    assert len(tables) == 4
    assert [(file, name) for file, name in wanted if name not in _tests(file)] == []


def test_every_file_of_tests_that_the_promises_name_exists():
    files = set(re.findall(r"`(\w+/(?:test_)?\w+\.py)\b", RELIABILITY))

    assert [file for file in files if not (ROOT / "tests" / file).exists()] == []


def test_every_scenario_of_chaos_is_told():
    named = set(re.findall(r"\b(test_\w+)\b(?!\.py)", RELIABILITY))

    assert _tests("chaos/test_*.py") - named == set()


def test_the_five_statements_of_the_operators_are_the_ones_that_are_proved():
    blocks = re.findall(r"^```sql\n(.*?)^```", OPERATIONS, re.MULTILINE | re.DOTALL)
    statements = [f"{one};" for block in blocks[:2] for one in _words(block).split(";") if one]
    proofs = _words((ROOT / "tests" / "integration" / "test_ledger_by_hand.py").read_text())

    assert len(statements) == 5
    assert [statement for statement in statements if statement.strip() not in proofs] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_alert_has_its_heading_and_says_what_to_do(rule):
    headings = re.findall(r"^### (.+)$", OPERATIONS, re.MULTILINE)
    text = OPERATIONS.split(f"### {rule.heading}\n")[1].split("\n##")[0]
    row = (
        rf"^\| \[`{rule.name}`\]\({re.escape(rule.manual.removeprefix('docs/operations.md'))}\) \|"
    )

    assert headings.count(rule.heading) == 1
    assert re.findall(r"^\* ([A-Z][a-z ]+):", text, re.MULTILINE) == [
        "What it means",
        "How to check",
        "What to do",
        "What not to do",
    ]
    [times] = re.findall(rf"{row}[^|]+\|(.+)\|$", OPERATIONS, re.MULTILINE)
    waits = [format_duration(span) if span else "at once" for span in (rule.wait, rule.calm)]
    assert [cell.strip() for cell in times.split("|")] == waits


def _tests(files: str) -> set[str]:
    text = "\n".join(path.read_text() for path in (ROOT / "tests").glob(files))
    return set(re.findall(r"^ *def (test_\w+)\(", text, re.MULTILINE))


def _words(text: str) -> str:
    return " ".join(text.split())
