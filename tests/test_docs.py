"""The pages agree with the code and with each other, and no committed file names this machine."""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dxatrend.cli.arguments import build_parser
from pipeline.clinical.clinical_context import VISIT_FACTS, ClinicalContext
from pipeline.edge.alarm_kinds import ALL, Kind
from pipeline.edge.configuration.fields import sections_in
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.deliver.dispatcher import REFUSED, UNANSWERED, UNWRITABLE
from pipeline.edge.dicom_net.sop_classes import IMAGE_STORAGE_CLASSES, SR_STORAGE_CLASSES, SR_TRANSFER_SYNTAXES
from pipeline.edge.errors import UNEXPECTED, WORKER_LOST
from pipeline.edge.extract.caller_scanners import OTHER_CALLER
from pipeline.edge.follow_up.due_exams import CONTRADICTORY, UNUSABLE_EVIDENCE
from pipeline.edge.operations import clinical_context
from pipeline.edge.overview.held_reasons import EXPLANATIONS
from pipeline.edge.peer_problems import Problem
from pipeline.edge.reprocess.reextract import READ_OTHERWISE
from pipeline.edge.store.commitment_requests import NOT_REPORTED
from pipeline.edge.store.patient_identity import ID_CONFLICT
from pipeline.edge.store.readings import REPEATED
from pipeline.edge.store.receipts import CORRECTED, ERASED, OTHER_BYTES
from pipeline.edge.store.shared_scans import SAME_SCAN
from pipeline.edge.store.withdrawals import REJECTED
from pipeline.sr.dicom.unreadable import IGNORED_REASONS, Reason
from tests import peers
from tests.folders import ROOT

README = (ROOT / "README.md").read_text()
CONFORMANCE = (ROOT / "docs" / "conformance.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
DECISIONS = (ROOT / "docs" / "decisions" / "README.md").read_text()
SENTENCE = ["receive", "store", "extract", "match", "compare", "interpret", "author", "deliver"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROSE = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "sample_dicom" / "README.md"]
OLD_WORDS = (
    # The brackets keep these patterns from finding themselves.
    "[h]ouse|[k]eeper|[m]ishap|[g]rounds|[s]urveyor|[u]pkeep|[c]hore|[w]hereabouts|[w]hence|[d]oom|[k]nock|[i]nquiry"
)
TEXT_FILES = {".py", ".md", ".toml", ".sql", ".service", ".yaml", ".ini", ".mako", ".csv", ""}
NOT_COMMITTED = {".git", ".venv", "var", "build", "dist", "__pycache__", ".hypothesis"}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands() -> set[str]:
    (choices,) = (
        action.choices for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return set(choices)


def keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a part of the configuration as ``listener.caller.host``, and what is known of it."""
    for name, field in section.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        nested = list(sections_in(field.annotation))
        for below in nested:
            yield from keys(below, f"{key}.")
        if not nested:
            yield key, field


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return f"`{field.default}`".lower()
    if isinstance(field.default, tuple):
        return f"`{json.dumps(field.default, default=str, ensure_ascii=False)}`"
    return f"`{field.default}`" if field.default != "" else "empty"


SETTINGS = [
    pytest.param(within_file, field, id=within_file)
    for key, field in keys(Settings)
    for _file, _, within_file in [key.partition(".")]
]


@pytest.mark.parametrize(("key", "field"), SETTINGS)
def test_every_setting_is_explained_with_its_default(key, field):
    assert f"| `{key}` | {default_of(field)} |" in OPERATIONS


def test_no_page_explains_a_setting_that_is_not_there():
    tables = re.findall(r"^\| key \| default \|.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    explained = set(re.findall(r"^\| `([a-z0-9_.]+)` \|", "".join(tables), re.MULTILINE))
    assert explained == {parameter.id for parameter in SETTINGS}


def test_every_column_of_clinical_context_is_explained_with_its_kind_and_its_words_and_no_other():
    (table,) = re.findall(r"^\| column \| kind \|.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \| (.+?) \|", table, re.MULTILINE)
    hints = get_type_hints(ClinicalContext)
    assert {name for name, _, _ in rows} | {"recorded_on", "source"} == set(clinical_context.readers())
    for name, kind, allowed in rows:
        days = VISIT_FACTS.get(name)
        assert kind == {None: "state", 0: "visit fact, that day"}.get(days, f"visit fact, {days} days"), name
        (allowed_type,) = {*(get_args(hints[name]) or (hints[name],))} - {type(None)}
        words = {bool: "`yes`, `no`", Decimal: "a number", date: "a day", str: "text"}
        assert allowed == (
            words.get(allowed_type) or ", ".join(f"`{word}`" for word in allowed_type if word != "mean")
        ), name


def test_the_configuration_that_comes_with_us_has_no_mistake():
    load_configuration(ROOT / "config")


def test_a_list_can_be_set_by_the_environment_as_the_page_says(monkeypatch):
    (name, value), *_ = re.findall(r"(DXATREND_SERVICE__LISTENER__CALLER)='(.*?)'", OPERATIONS)
    monkeypatch.setenv(name, value)
    loaded, _ = load_configuration(ROOT / "config")
    assert [caller.ae_title for caller in loaded.service.listener.caller] == [json.loads(value)[0]["ae_title"]]


OF_EXAMS = {CONTRADICTORY, UNUSABLE_EVIDENCE, OTHER_BYTES, ID_CONFLICT, SAME_SCAN, READ_OTHERWISE}
OF_THE_EDGE = {ERASED, OTHER_CALLER, UNEXPECTED, WORKER_LOST, REFUSED, UNANSWERED, UNWRITABLE, NOT_REPORTED}


def test_every_reason_for_holding_is_explained_and_no_other():
    of_reports = {*Reason} - IGNORED_REASONS - {Reason.REJECTION_NOTE}
    assert set(EXPLANATIONS) == of_reports | OF_EXAMS | OF_THE_EDGE


def test_the_page_explains_each_reason_for_holding_in_the_words_of_the_desk():
    (table,) = re.findall(r"^\| reason \| what it means \|.*\n\|.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    words = [f"| `{reason}` | {one.meaning} | {one.advice} |" for reason, one in EXPLANATIONS.items()]
    assert table.splitlines() == words


def test_the_page_has_each_problem_of_a_destination_in_the_words_in_which_it_is_told():
    (table,) = re.findall(r"^\| reason \| what is said \|.*\n\|.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    facts = dict.fromkeys(("error", "expected", "classes", "request", "status", "message", "code"), "…")
    facts |= {"at": "HOST port PORT", "host": "HOST", "ours": "DXATREND", "theirs": "PACS"}
    words = [f"| `{one.key}` | {one.what.format(**facts)} | {one.advice.format(**facts)} |" for one in Problem]
    assert table.splitlines() == words


def test_every_reason_for_ignoring_is_explained():
    (table,) = re.findall(r"^\| reason \| what it is \|.*\n\|.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    explained = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE))))
    assert explained == {*IGNORED_REASONS, Reason.REJECTION_NOTE, REPEATED, CORRECTED, REJECTED, ERASED}


def test_what_the_page_tells_to_look_for_is_printed_or_logged():
    trouble, log_lines = (
        "".join(re.findall(rf"^{re.escape(head)}.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE))
        for head in ("| trouble | what you see |", "| log line |")
    )
    cells = re.findall(r"^\|[^|]+\|([^|]+)\|", trouble, re.MULTILINE) + re.findall(
        r"^\|([^|]+)\|", log_lines, re.MULTILINE
    )
    quoted = {quote for cell in cells for quote in re.findall(r"`([^`]+ [^`]+)`", cell) if quote[:9] != "dxatrend "}
    assert len(quoted) > 15
    texts = [text for package in ("pipeline", "flows", "dxatrend") for text in texts_in(ROOT / package)]
    parts = [part.strip() for text in texts if "%" in text for part in re.split("%[srd]", text) if len(part) > 15]
    assert {
        quote
        for quote in quoted
        if not any(quote.removeprefix("CRITICAL ") in text for text in texts)
        and not any(part in quote for part in parts)
    } == set()


def test_the_conformance_statement_lists_every_sop_class_and_transfer_syntax_we_take():
    uids = {*SR_STORAGE_CLASSES, *IMAGE_STORAGE_CLASSES, *SR_TRANSFER_SYNTAXES}
    assert {uid for uid in uids if f"| {uid} |" not in CONFORMANCE} == set()


def test_every_command_is_in_the_readme():
    assert {command for command in commands() if f"| `dxatrend {command}" not in README} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_a_page_shows_exists(page):
    text = page.read_text()
    shown = set(re.findall(r"(?:`|bin/|^\$ )dxatrend ([a-z-]+)", text, re.MULTILINE))
    assert shown - commands() == set()
    assert set(re.findall(r"(?:`|^\$ |\bor )make ([a-z]+)", text, re.MULTILINE)) - make_targets() == set()


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_fits_into_a_hundred_columns(page):
    """Tables, code and words that cannot be broken are as wide as they are."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    too_long = [line for line in text.splitlines() if len(line) > 100 and not line.startswith("|")]
    assert [line for line in too_long if " " in line.strip()] == []


def rows_of_architecture() -> list[tuple[str, str, str]]:
    """What each row of the walk and of the questions says, the file it names and the name in that file."""
    rows = re.findall(r"^\|(.*)\| `([^`|]+)` \| `([^`|]+)` \|$", ARCHITECTURE, re.MULTILINE)
    return [(said.strip("| "), file, name) for said, file, name in rows]


def names_in(source: str) -> set[str]:
    """Classes, functions and values that a module defines, and methods as ``Class.method``."""
    found: set[str] = set()
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                found |= {name} | {f"{name}.{part.name}" for part in body if isinstance(part, ast.FunctionDef)}
            case ast.FunctionDef(name=name):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


@pytest.mark.parametrize(("said", "file", "name"), rows_of_architecture())
def test_the_architecture_page_names_what_is_there(said, file, name):
    assert name in names_in((ROOT / file).read_text()), said


def test_the_architecture_page_walks_the_sentence_and_answers_twenty_questions():
    rows = re.findall(r"^\| ([a-z]*) \|.*\|.*\|.*\|$", ARCHITECTURE, re.MULTILINE)
    assert [word for word in rows if word in SENTENCE] == SENTENCE
    assert len([said for said, _, _ in rows_of_architecture() if said.endswith("?")]) >= 20


def test_every_file_on_the_architecture_page_exists():
    in_text = re.findall(r"`([\w.-]+/[\w./-]*)`", ARCHITECTURE)
    in_picture = re.findall(r"^([\w/]+(?:/|\.py)) ", ARCHITECTURE, re.MULTILINE)
    named = {*in_text, *in_picture}
    assert len(named) > 30
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_picture_shows_the_floors_that_the_import_contracts_hold():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {contract["id"]: contract.get("layers", []) for contract in contracts}
    (picture,) = re.findall(r"```\n(dxatrend/.*?)```", ARCHITECTURE, re.DOTALL)
    blocks = dict(re.findall(r"^([\w/]+)/ .*\n((?:  \w.*\n)*)", picture, re.MULTILINE))
    assert [name for name in blocks if "/" not in name] == [name for name in layers["packages"] if name != "pipeline"]
    assert [f"pipeline/{ring}" for ring in layers["rings"] if ring != "errors"] == [
        name for name in blocks if "/" in name
    ]
    for ring in ("edge", "sr"):
        floors = re.findall(r"^  (\S.*?)(?:  |$)", blocks[f"pipeline/{ring}"], re.MULTILINE)
        assert floors == layers[ring]


@pytest.mark.parametrize(("lines", "files"), re.findall(r"^\| [\w -]+ \| (\d+) \| (`.*) \|$", DECISIONS, re.MULTILINE))
def test_the_decisions_tell_the_size_of_own_code_where_a_library_exists(lines, files):
    """Within a tenth: whoever lets it grow reads the reason for it again."""
    size = sum(len((ROOT / file).read_text().splitlines()) for file in re.findall(r"`(.*?)`", files))
    assert size == pytest.approx(int(lines), rel=0.1)


def test_no_committed_text_uses_a_word_that_the_glossary_has_replaced():
    """A word that only its inventor understands comes back easily; docs/architecture.md has the plain one."""
    old = re.compile(rf"\b(?:{OLD_WORDS})\b", re.IGNORECASE)
    texts = {path: path.read_bytes().decode(errors="ignore") for path in committed() if path.suffix in TEXT_FILES}
    assert len(texts) > 300
    assert {str(path.relative_to(ROOT)): words for path, text in texts.items() if (words := old.findall(text))} == {}


@pytest.mark.parametrize("page", PROSE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text())
    lost = [(file, heading) for file, heading in links if not leads_somewhere(page, file, heading)]
    assert lost == []


def test_the_menu_lists_every_target():
    menu = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"make ([a-z]+)", menu)) == make_targets() - {"menu", "peers"}


def test_no_committed_file_names_a_download_host_or_a_path_of_this_machine():
    """Where packages come from, and where somebody works, is not the project's to say."""
    # The brackets keep these patterns from finding themselves.
    address = re.compile(
        rb"[p]ythonhosted|[p]ypi\.org|[d]eb\.debian\.org|[r]egistry\.npmjs|/[w]ork/|/[h]ome/|/[t]mp/w/"
    )
    assert [str(path.relative_to(ROOT)) for path in committed() if address.search(path.read_bytes())] == []


def test_the_scripts_are_clean():
    installers = [ROOT / "deploy" / "install", ROOT / "deploy" / "uninstall"]
    scripts = [*sorted((ROOT / "scripts").iterdir()), *installers, ROOT / ".ci" / "run"]
    assert all(os.access(script, os.X_OK) for script in scripts)
    run = subprocess.run([peers.program("shellcheck"), *scripts], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_ci_runs_everything_and_takes_no_missing_peer_for_an_answer():
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert "export CI=true" in script
    assert re.findall(r"^make .*$", script, re.MULTILINE) == ["make test"]


def leads_somewhere(page: Path, file: str, heading: str) -> bool:
    """Whether a page's link leads to a file that exists, and where it names a heading, to one of its headings."""
    target = page.parent / file if file else page
    if not heading or not target.is_file():
        return target.exists()
    titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def texts_in(folder: Path) -> Iterator[str]:
    """Every string of one line in the modules of a folder."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value.strip():
                yield node.value


def committed() -> list[Path]:
    """What is, or is about to be, in the repository; in a bare copy, everything that is not made by running it."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listing = subprocess.run(
            [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(
            part in NOT_COMMITTED or part.endswith(("_cache", ".egg-info")) for part in path.relative_to(ROOT).parts
        )
    ]


def test_the_table_of_alarms_says_what_the_code_does():
    (table,) = re.findall(r"^\| alarm \| priority \|.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    assert table.splitlines()[1:] == [
        f"| `{kind.name}` | {kind.priority.value} | {kind.cause.format(_limit(kind))} "
        f"| {kind.advice} `{kind.command.format('NAME')}` |"
        for kind in ALL
    ]


def _limit(kind: Kind) -> str:
    """Return the default hold-off of a kind in words, as the documentation gives it."""
    if kind.working_days:
        return "a day of work" if kind.working_days == 1 else f"{kind.working_days} days of work"
    minutes = round(kind.hold_off.total_seconds() / 60)
    for length, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= length and minutes % length == 0:
            count = minutes // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "no time"


def test_every_metric_is_explained_and_no_other():
    (table,) = re.findall(r"^\| metric \| is \|.*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    explained = set(re.findall(r"^\| `(dxatrend_[a-z_]+)", table, re.MULTILINE))
    code = (ROOT / "dxatrend" / "service" / "metrics.py").read_text()
    named = set(re.findall(r'"(dxatrend_[a-z_]+)"', code))
    counters = {
        f"dxatrend_{name}_total" for name in re.findall(r'^            \("([a-z_]+)", "[A-Z]', code, re.MULTILINE)
    }
    moments = {f"dxatrend_{name}_timestamp_seconds" for name in re.findall(r'_moment\("([a-z_]+)"', code)}
    assert explained == named | counters | moments
