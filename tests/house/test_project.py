"""The house itself: its floors, its commands' manners, its recipes, what it ships."""

import ast
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from builders.__main__ import COMMANDS
from tests.support.commands import ROOT, command


ROOMS = ("builders", "train", "model_cards", "space")
MAY_IMPORT = {
    "builders": {"builders"},
    "train": {"train", "builders"},
    "model_cards": {"model_cards", "builders"},
    "space": {"space", "builders"},
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


@pytest.mark.parametrize(
    "arguments",
    [
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


@pytest.mark.parametrize("recipe", sorted((ROOT / "train/recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_training_recipe_parses_with_the_installed_trl(recipe, monkeypatch):
    """A key that TRL no longer knows raises; so does a recipe whose method has no script."""
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

    import train.alternation
    import train.evaluate
    import train.matrix
    import train.rounds
    from builders.cli import parse
    from train.encoders.filter_data import FilterData
    from train.encoders.retriever_trainer import RetrieverTrainingArguments
    from train.encoders.triplet_rows import RetrieverData
    from train.students.methods.load import METHODS

    types = {
        **{method.name: method.types() for method in METHODS},
        "evaluate": (train.evaluate.EvaluationArguments,),
        "filter": (FilterData, CrossEncoderTrainingArguments),
        "rounds": (train.rounds.RoundsArguments,),
        "retriever": (RetrieverData, RetrieverTrainingArguments),
        "matrix": (train.matrix.MatrixArguments,),
        "alternation": (train.alternation.AlternationArguments,),
    }[recipe.stem.split("-")[0]]
    # Recipes for GPUs must parse on machines without one.
    cpu = ["--use_cpu", "true"] if len(types) > 1 else []
    assert parse(types, ["--config", str(recipe), *cpu], "", "")
    head = recipe.read_text().split("\n\n")[0]
    assert "Memory:" in head and "Time:" in head


@pytest.mark.parametrize("recipe", sorted((ROOT / "builders/recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_builder_recipe_parses(recipe):
    import importlib

    from builders.cli import parse
    from builders.pairing.load import option_types

    module = importlib.import_module(f"builders.commands.{recipe.stem.split('-')[0]}")
    (arguments,) = [vars(module)[name] for name in vars(module) if name.endswith("Arguments")]
    types = (arguments, *option_types()) if recipe.stem.startswith("preferences") else arguments
    assert parse(types, ["--config", str(recipe)], "", "")


def shell_commands(text: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def test_every_command_of_the_readme_exists_and_takes_its_flags():
    """make targets stand in the Makefile; for python commands every flag is one that --help names."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    helps: dict[tuple[str, ...], str] = {}
    seen = 0
    for line in shell_commands((ROOT / "README.md").read_text()):
        words = line.split()
        if words[0] == "make":
            assert words[1] in targets, line
        elif words[0] == "python" and words[1] == "-m" and words[2] in ROOMS:
            start = words[1:4] if words[2] == "builders" else words[1:3]
            check_flags(tuple(start), words, line, helps)
        elif words[:2] == ["accelerate", "launch"] or words[1].startswith("train/"):
            if "-m" in words:
                own = words[words.index("-m") :]
                check_flags(tuple(own[:3]), own, line, helps)
                seen += 1
                continue
            script = next(word for word in words if word.startswith("train/") and word.endswith(".py"))
            own = words[words.index(script) :]
            if words[0] == "accelerate":
                assert Path(ROOT / words[words.index("--config_file") + 1]).is_file(), line
            recipe = ROOT / own[own.index("--config") + 1]
            assert recipe.is_file(), line
            keys = set(yaml.safe_load(recipe.read_text()))
            helped = helps.setdefault((script,), command(script, "--help").stdout)
            for flag in (word for word in own if word.startswith("--") and word != "--config"):
                assert f"--{flag[2:]} " in helped or flag[2:] in keys, f"{flag} in: {line}"
        else:
            continue
        seen += 1
    assert seen >= 8


def check_flags(start: tuple[str, ...], words: list[str], line: str, helps: dict[tuple[str, ...], str]) -> None:
    helped = helps.setdefault(start, command(*start, "--help").stdout)
    assert helped.startswith("usage:"), line
    for flag in (word for word in words if word.startswith("--") and word != "--config"):
        assert f"{flag} " in helped or f"[{flag}]" in helped, f"{flag} in: {line}"
    if "--config" in words:
        assert (ROOT / words[words.index("--config") + 1]).is_file(), line


def test_the_readmes_tables_are_those_that_the_evaluations_wrote():
    """The README shows tables of real runs, kept beside it as JSON; no number is typed by hand."""
    import json

    from train.reports.matrix_table import short_grid_table
    from train.reports.results_table import short_table

    readme = (ROOT / "README.md").read_text()
    shown = re.findall(r"<!-- ([\w-]+) table -->\n(.*?)<!-- end of \1 table -->", readme, flags=re.DOTALL)
    assert {name for name, _ in shown} >= {"demo", "pydocs"}
    for name, text in shown:
        rows = [row for row in text.splitlines() if row.startswith("|")]
        results = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text())
        table = short_table(results) if "systems" in results else short_grid_table(results)
        assert rows == [row for row in table.splitlines() if row.startswith("|")], name


def test_the_readmes_headline_is_made_of_the_recorded_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from headline import headline_table

    shown = re.search(r"<!-- headline -->\n(.*?)<!-- end of headline -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown and shown[1] == headline_table()


def test_the_time_of_a_round_in_the_readme_is_the_recorded_one():
    import json

    stages = json.loads((ROOT / "benchmarks/results/pydocs-expandr-round.json").read_text())["stages"]
    minutes = sum(stage["seconds"] for stage in stages) / 60
    assert f"{minutes:.0f} minutes together" in " ".join((ROOT / "README.md").read_text().split())


@pytest.mark.parametrize(
    ("checked", "source", "own"),
    [
        ("builders/recipes/otherdocs-expandr/expansions-retriever", "builders/recipes/pydocs-expandr/", {"adapter"}),
        ("builders/recipes/otherdocs-expandr/triplets", "builders/recipes/pydocs-expandr/", {"expansions"}),
        ("train/recipes/minilm-l6/retriever-otherdocs", "train/recipes/minilm-l6/", {"triplets"}),
        ("train/recipes/minilm-l6/retriever-otherdocs-plain", "train/recipes/minilm-l6/", {"triplets"}),
        ("train/recipes/smollm2-135m/matrix-otherdocs-expandr", "train/recipes/smollm2-135m/", {"against"}),
        ("train/recipes/smollm2-135m/evaluate-otherdocs", "train/recipes/smollm2-135m/", set()),
    ],
)
def test_other_libraries_are_measured_with_the_settings_of_pydocs(checked, source, own):
    """The check is worth something only where nothing was chosen anew: rows and columns may be fewer, that is all."""
    here = yaml.safe_load((ROOT / f"{checked}.yaml").read_text())
    name = checked.rsplit("/", 1)[-1].replace("otherdocs", "pydocs")
    there = yaml.safe_load((ROOT / source / f"{name}.yaml").read_text())
    own = own | {"collection", "output_dir", "adapters", "retrievers"}
    assert {k: v for k, v in here.items() if k not in own} == {k: there.get(k) for k in here if k not in own}
    assert here.get("collection", "pydocs:").startswith("pydocs:")
    for form in here.get("retrievers", []):
        title, _, asked = form.partition("=")
        (same,) = [each for each in there["retrievers"] if each.startswith(f"{title}=")]
        assert asked.rpartition("|")[2] == same.rpartition("|")[2], "another formation"


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
