"""Checks the packages' imports, the commands' help and errors, the README's tables and what the wheel holds."""

import ast
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from builders.__main__ import COMMANDS
from qexpand.__main__ import STEPS
from tests.support.commands import ROOT, command
from tests.support.readme_tables import GUIDES


ROOMS = ("builders", "train", "model_cards", "space", "qexpand")
MAY_IMPORT = {
    "builders": {"builders"},
    "train": {"train", "builders"},
    "model_cards": {"model_cards", "builders"},
    "space": {"space", "builders"},
    # Above them all; none of them knows it.
    "qexpand": {"qexpand", "builders", "train"},
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        assert imports(path) & set(ROOMS) <= MAY_IMPORT[room], path


def test_tests_mirror_the_rooms_and_import_no_other_test():
    """What several files of tests use stands in `tests/support` or is the test Hub's."""
    helpers, tests = ("support", "hub_server"), ROOT / "tests"
    rooms = {path.parent.name for path in (ROOT / "builders").glob("*/*.py")} | {*ROOMS, "benchmarks"}
    for path in tests.rglob("*.py"):
        room = path.relative_to(tests).parts[0]
        assert room in {*rooms, *helpers, "house"} or path.parent == tests, path
        assert path.name.startswith(("test_", "__init__", "conftest")) or room in helpers, path
        found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        modules = [".".join([node.module or "", *(name.name for name in node.names)]) for node in found]
        others = [name for name in modules if re.match(r"tests\.(?!support|hub_server)|tests\..*\.test_", name)]
        assert not others, path


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "qexpand", "--help"],
        *(["-m", "qexpand", name, "--help"] for name in STEPS),
        ["-m", "builders", "--help"],
        *(["-m", "builders", name, "--help"] for name in COMMANDS),
        ["train/sft.py", "--help"],
        ["train/dpo.py", "--help"],
        ["train/evaluate.py", "--help"],
        ["train/filter.py", "--help"],
        ["train/rounds.py", "--help"],
        ["train/retriever.py", "--help"],
        ["train/matrix.py", "--help"],
        ["train/alternation.py", "--help"],
        ["-m", "train", "--help"],
        ["-m", "model_cards", "--help"],
        ["-m", "space", "--help"],
    ],
    ids=" ".join,
)
def test_help_answers_within_a_second(arguments):
    """By processor time, the best of three: what the command needs, not what else the machine is doing."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = command(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0 and done.stdout.startswith("usage:"), done.stderr
        if times[-1] < 1:
            return
    pytest.fail(f"took {min(times):.2f} s at best")


def test_importing_builders_draws_in_nothing_heavy():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "builders").rglob("*.py")
        # An `evaluate` module imports `evaluate`: that is what it is.
        if path.name != "__main__.py" and path.name != "retrieval_measures.py"
    ]
    script = f"""
import importlib, sys
for name in {[name.removesuffix(".__init__") for name in modules]!r}:
    importlib.import_module(name)
print([name for name in ("torch", "transformers", "jnius", "gradio", "datasets", "pyserini") if name in sys.modules])
"""
    done = command("-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_ruff_and_mypy_are_content():
    for check in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = command("-m", *check)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_readmes_tables_are_those_that_the_evaluations_wrote():
    """The README shows tables of real runs, kept beside it as JSON; no number is typed by hand."""
    import json

    from train.reports.matrix_table import short_grid_table
    from train.reports.results_table import short_table

    text = "".join(path.read_text() for path in GUIDES)
    shown = re.findall(r"<!-- ([\w-]+) table -->\n(.*?)<!-- end of \1 table -->", text, flags=re.DOTALL)
    assert {name for name, _ in shown} >= {"demo", "pydocs"}
    for name, text in shown:
        rows = [row for row in text.splitlines() if row.startswith("|")]
        results = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())
        table = short_grid_table(results) if "expanders" in results else short_table(results)
        assert rows == [row for row in table.splitlines() if row.startswith("|")], name


def test_the_tables_of_all_gains_are_made_of_the_recorded_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from headline import demo_table, short_table, unjudged_table, wide_table

    of_page = {"README.md": {"headline": short_table, "demo gain": demo_table}}
    of_page["docs/results.md"] = {"overview": wide_table, "unjudged": unjudged_table}
    for page, name, table in ((page, *one) for page, tables in of_page.items() for one in tables.items()):
        marked = rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->"
        shown = re.search(marked, (ROOT / page).read_text(), re.DOTALL)
        assert shown and shown[1] == table()


def test_recorded_results_name_no_folder_outside_the_project(monkeypatch):
    import json

    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from record_results import without_places

    told = {
        "teachers": ["a=../data/x.jsonl.gz,mode=zs,model=Qwen/Qwen2.5-7B"],
        "command": "go --collection /home/me/scifact",
    }
    assert without_places(told) == {
        "teachers": ["a=x.jsonl.gz,mode=zs,model=Qwen/Qwen2.5-7B"],
        "command": "go --collection scifact",
    }
    kept = {
        "retriever": "dense:out/x/models/retriever|mean",
        "queries": 5,
        "ratio": "student/teacher",
        "prompt": "a / b",
    }
    assert without_places(kept) == kept
    for path in (ROOT / "benchmarks/results").glob("*.json"):
        results = json.loads(path.read_text())
        assert without_places(results) == results, path.name


@pytest.mark.slow
def test_the_wheel_carries_prompts_templates_and_recipes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.suffix in (".py", ".yaml", ".md", ".css", ".typed", ".txt") and "__pycache__" not in path.parts
    ]
    assert set(shipped) <= names, sorted(set(shipped) - names)
