"""Reads the commands of README, docs and experiments by what they start, and runs some as they stand.

Only servers and sizes that a test cannot have are exchanged.
"""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from qexpand.__main__ import main
from tests.support.collection_folders import clicks, dpr, jsonl, write
from tests.support.commands import EXPERIMENTS, ROOT, command, own_words, settings, started
from tests.support.inference_server import InferenceServer
from tests.support.readme_tables import GUIDES, renewed
from tests.support.reference import PAGE, page
from tests.support.tiny_student import base_model
from tests.support.word_collection import word_collection


README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"
ROUTER = "huggingface_hub.inference._providers.CONVERSATIONAL_AUTO_ROUTER.base_url"
TRAIN = 20
PAGES = [*GUIDES, *sorted(EXPERIMENTS.glob("*/README.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", EXPERIMENTS / "README.md"]


def name_of(path: Path) -> str:
    return path.parent.name if path.name == "README.md" else path.stem


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_is_read_with_all_its_options(path: Path) -> None:
    """Targets stand in the Makefile, recipes and scripts are there, and each option is one of its command's."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in started(path.read_text()):
        if words[0] == "make":
            assert words[1] in targets, words
            continue
        if words[0] == "accelerate":
            assert (ROOT / words[words.index("--config_file") + 1]).is_file(), words
        own = own_words(words)
        if own[0].startswith("benchmarks/"):
            assert (ROOT / own[0]).is_file()
        elif own[1].startswith("benchmarks."):
            assert (ROOT / f"{own[1].replace('.', '/')}.py").is_file()
        elif own[:2] not in (["-m", "pip"], ["-m", "venv"], ["-m", "tests.hub_server"]):
            assert settings(own), words


def test_the_tables_of_pydocs_name_the_version_that_they_are_of() -> None:
    """A result on another version has to be said, or the text to go. The demo has its own section."""
    results = [path for path in (ROOT / "benchmarks/results").glob("*.json") if not path.stem.startswith("demo")]
    found = [json.loads(path.read_text()).get("collection") for path in results]
    (version,) = {one["fingerprint"] for one in found if isinstance(one, dict) and one["name"] == "pydocs"}
    assert f"fingerprint `{version}`" in (DOCS / "results.md").read_text()


def commands(page: str, mark: str) -> list[str]:
    """The commands of a page of `docs` that hold `mark`, each as one line."""
    text = (DOCS / f"{page}.md").read_text().replace(" \\\n", " ")
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return [" ".join(line.split()) for line in lines if mark in line and not line.startswith("#")]


def execute(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = own_words(shlex.split(line))
    assert words[1] in ("builders", "qexpand"), line
    monkeypatch.setattr(sys, "argv", words[1:])
    main()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the commands name."""
    folder = word_collection(tmp_path / "my-collection", TRAIN + 10)
    rows = (folder / "qrels/train.tsv").read_text().splitlines(keepends=True)
    (folder / "qrels/train.tsv").write_text("".join(rows[: TRAIN + 1]))
    (folder / "qrels/test.tsv").write_text(rows[0] + "".join(rows[TRAIN + 1 :]))
    judged = [f"q{n}" for n in range(TRAIN + 10)]
    clicks(tmp_path / "my-shop")
    dpr(tmp_path / "my-questions")
    recorded = [
        {
            "qid": key,
            "method": method,
            "mode": mode,
            "model": "acme/teacher",
            "expansion": f"{method} {mode}: see page{key[1:]} of it",
        }
        for key in judged
        for method in ("query2doc", "other")
        for mode in ("zs", "fs")
    ]
    run = "".join(f"{key} Q0 d{key[1:]} 1 2.5 x\n{key} Q0 d0 2 1.5 x\n" for key in judged[1:])
    write(tmp_path, {"teacher.jsonl": jsonl(recorded), "plain.trec": run, "expanded.trec": run})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def served(line: str, server: InferenceServer) -> str:
    """The line with a server that is there, and as many queries."""
    return re.sub(r"http://\S+/v1", server.url, line).replace("--num_train 500", f"--num_train {TRAIN}")


def test_tables_of_what_options_take_are_made_from_the_classes():
    """Where it fails: `python -m tests.support.readme_tables` writes them."""
    for path, text in renewed().items():
        assert path.read_text() == text, path.name


def test_the_reference_is_made_from_the_dataclasses():
    """Where it fails: `python -m tests.support.reference` writes it."""
    assert PAGE.read_text() == page()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    assert max(len(line) for block in blocks for line in block.splitlines()) <= 120


@pytest.mark.parametrize("path", LINKED, ids=name_of)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    """Headings too: GitHub makes their names of lower-case words with hyphens."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, heading = target.partition("#")
        there = (path.parent / file) if file else path
        assert there.exists(), f"{path.name}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)", there.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, target


@pytest.mark.parametrize("line", commands("collections", "qexpand grade"), ids=lambda line: line[14:60])
def test_your_own_data(line, here, monkeypatch, capfd):
    if "pyserini" in line:
        pytest.importorskip("pyserini", reason="needs the extra pyserini")
    execute(line, monkeypatch)
    assert "nDCG@10" in capfd.readouterr().out


@pytest.mark.parametrize("line", commands("teachers", "python -m builders"), ids=lambda line: line[31:80])
def test_your_own_teacher(line, here, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    (here / "teacher.jsonl.gz").write_bytes(gzipped((here / "teacher.jsonl").read_bytes()))
    with InferenceServer() as server:
        monkeypatch.setattr(ROUTER, server.url.removesuffix("/v1"))
        execute(served(line, server), monkeypatch)
        folder = Path(re.search(r"--output_dir (\S+)", line)[1])
        build = json.loads((folder / "build.json").read_text())
        assert build["yield"]["queries"] == TRAIN and build["rows"]["raw"]["train"] >= TRAIN
        assert bool(server.answered) == ("inference" in line)


@pytest.mark.slow
def test_from_your_own_teacher_to_results(here, monkeypatch, capsys):
    """The command of the README and the four that follow it, with a tiny student."""
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    (asked,) = re.findall(r"^qexpand expansions .*?[^\\]$", README, re.DOTALL | re.MULTILINE)
    with InferenceServer() as server:
        # All are imitated: whether any answer of this server retrieves better is chance.
        execute(served(asked.replace("\\\n", " "), server) + " --select all", monkeypatch)
    base = base_model(here / "base")
    few = "--max_steps 2 --max_length 400"
    for line in commands("teachers", "qexpand "):
        more = f"--model {base} --block 8" if " evaluate " in line else f"--model_name_or_path {base} {few}"
        line = line.replace(" builders/", f" {ROOT}/builders/").replace(" train/", f" {ROOT}/train/")
        execute(f"{line} {more if ' preferences ' not in line else '--min_margin 0.0001'}", monkeypatch)
    execute("qexpand summary out/student", monkeypatch)
    assert "with the words of dpo" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("line", commands("teachers", "accelerate launch"))
def test_two_local_processes(line, here):
    words = shlex.split(line.replace("train/accelerate", str(ROOT / "train/accelerate")))
    # Of so few candidates perhaps none is worth imitating.
    words += ["--num_train", "4", "--samples", "2", "--select", "all"]
    done = command("-m", "accelerate.commands.accelerate_cli", *words[1:], cwd=here, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((here / "out/local/build.json").read_text())["rows"]["raw"] == {"train": 8}


@pytest.mark.parametrize("line", commands("retrieval", "builders grade"), ids=lambda line: line[53:80])
def test_grade_what_you_have(line, here, monkeypatch):
    (here / "teacher.jsonl.gz").write_bytes(gzipped((here / "teacher.jsonl").read_bytes()))
    execute(line, monkeypatch)
    results = json.loads(Path(re.search(r"--out (\S+)", line)[1]).read_text())
    assert {row["queries"] for row in results["systems"].values()} == {10} and len(results["systems"]) == 2


def gzipped(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data)
