"""What the documents name exists: proofs, files, commands, options."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from boxfs.base.config import table
from boxfs.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
# `path/test_x.py::test_y`, below tests/.
_PROOF = re.compile(r"`(?:tests/)?([\w/]+\.py)::(\w+)(?:\[[^`]*)?`")


@cache
def _functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _named(document: Path) -> list[tuple[str, str]]:
    return _PROOF.findall(document.read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_proof_that_a_document_names_exists(document: Path) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in _named(document)
        if not (ROOT / "tests" / file).is_file() or name not in _functions(ROOT / "tests" / file)
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_case_of_a_proof_that_a_document_names_exists(document: Path) -> None:
    named = re.findall(r"`(?:tests/)?([\w/]+\.py)::\w+\[([^`\]]+)\]`", document.read_text())
    missing = [f"{file}[{case}]" for file, case in named if not _names(ROOT / "tests" / file, case)]
    assert missing == []


def _names(path: Path, case: str) -> bool:
    """Whether the test, or the tables that it imports, has a case of that name."""
    imported = re.findall(r"^from tests\.([\w.]+) import", path.read_text(), re.MULTILINE)
    files = [path, *(ROOT / "tests" / f"{name.replace('.', '/')}.py" for name in imported)]
    return any(re.search(rf"[\"' ]{re.escape(case)}[\"'(]", file.read_text()) for file in files if file.is_file())


def test_every_row_of_the_semantics_has_a_proof() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "SEMANTICS.md").read_text().splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| Situation", "| Work", "| Program", "| Here"))
    ]
    assert len(rows) > 40
    assert [row for row in rows if not _PROOF.search(row)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_option_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text()
    commands = re.findall(r"(?:^|[`(/ ])boxfs ([a-z]+)(?=[ `)\n])", "\n".join(re.findall(r"`[^`\n]+`", text)))
    assert [name for name in commands if name not in COMMANDS] == []
    options = re.findall(r"`-o ([a-z_]+)", text)
    known = {*table(), "nonempty"}
    assert [name for name in options if name not in known] == []
