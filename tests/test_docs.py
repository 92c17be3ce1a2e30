"""Pages name only commands, options, files and headings that exist, and their diagram is that of the source."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from hevitpose.cli.main import add_commands, app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [page.name for page in PAGES]


@pytest.fixture(scope="module")
def commands():
    """The options of each command, by the words that call it: ("data", "check")."""
    add_commands([])
    found = {}

    def walk(command, words):
        found[words] = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
        for name, sub in getattr(command, "commands", {}).items():
            walk(sub, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


def calls(text):
    """Each call of `hevitpose` in a code block or between backticks, as words."""
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in lines:
        called = re.search(r"(?:^|-m |bin/)hevitpose (.*)", line.strip())
        if called:
            yield shlex.split(called[1], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_and_options_exist(page, commands):
    for words in calls(page.read_text()):
        named = tuple(words[:2]) if tuple(words[:2]) in commands else tuple(words[:1])
        known = commands[() if words[0].startswith("-") else named]
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, words


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_files_of_the_repository_exist(page):
    text = page.read_text()
    files = re.findall(r"\b(?:src|tools|benchmarks|tests|examples)/[\w/]+\.(?:py|jpg)", text)
    modules = re.findall(
        r"`((?:core|io|metrics|data|view|models|inference|evaluation|training|export|cli)/\w+\.py)`", text
    )
    files += [f"src/hevitpose/{module}" for module in modules]
    assert [file for file in files if "NAME" not in file and not (ROOT / file).exists()] == []


def headings(page):
    """The anchors of a page as GitHub makes them."""
    titles = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        if ":" in file:
            continue
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_the_python_example_of_readme_runs(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    exec(example[1], {})
    score, keypoints = capsys.readouterr().out.split(" ", 1)
    assert float(score) > 0.5
    assert keypoints.count("\n") == 21


def test_the_diagram_is_that_of_the_imports():
    spec = importlib.util.spec_from_file_location("architecture_diagram", ROOT / "tools" / "architecture_diagram.py")
    architecture_diagram = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture_diagram)
    assert architecture_diagram.FILE.read_text() == architecture_diagram.drawn_now(), "run `make docs`"
