"""What the tests of pins have in common: the kit run as a user runs it, and what was found compared with what is kept.

A pin is something that users, published pages or hours of work rely on: bytes, settings, names. The files in
`tests/pins` hold them. This module imports all that the tests of pins need of the kit, so that a move of modules is
followed here and nowhere else.
"""

import difflib
import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from builders.artifacts.schema import CONFIGS, SCHEMA_VERSION
from builders.collections.pydocs.source_tree import files_stamp
from builders.grading.comparison import legend, table_lines
from builders.retrievers import bm25s_index
from tests.support.commands import ROOT
from tests.support.evaluated_folders import WEIGHTS
from tests.support.inference_server import WORDS
from tests.support.word_collection import word_collection
from train.reports.rounds_tables import alternation_table, rounds_table


__all__ = ["CONFIGS", "SCHEMA_VERSION", "alternation_table", "files_stamp", "legend", "rounds_table", "table_lines"]

PINS = ROOT / "tests/pins"
RENEW = "RENEW_PINS"
# Queries of the small collection: as many as a regression needs.
SIZE = 60
# What the bytes of a Parquet file depend on, beside its rows.
WRITERS = ("datasets", "pyarrow")
# Hashes over what differs from commit to commit or from machine to machine.
HASHED_BUILDS = re.compile(r"(build|expansions|references|leave_out)_sha256")
HASHED_WEIGHTS = re.compile(r"sha256:[0-9a-f]{16}")


def versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    """Installed releases, without the local suffix that names a build."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def read(name: str) -> Any:
    """What is kept under a name."""
    path = PINS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def compare(name: str, found: Any) -> None:
    """Fail with the difference where something is not as it is kept; with `RENEW_PINS=1`, keep it."""
    found = json.loads(json.dumps(found))
    path = PINS / f"{name}.json"
    if os.environ.get(RENEW):
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    kept = read(name)
    if isinstance(kept, dict) and kept.get("writers") != found_writers(found):
        kept, found = without_bytes(kept), without_bytes(found)
    if kept != found:
        before, after = (json.dumps(one, indent=1, ensure_ascii=False).splitlines() for one in (kept, found))
        shown = "\n".join(difflib.unified_diff(before, after, f"pins/{name}.json", "now", lineterm="", n=2))
        pytest.fail(
            f"this must not change: datasets would be built, answers paid for or students trained anew, or what is "
            f"published would break. Only if it is meant: {RENEW}=1 pytest tests/house/test_pins.py\n{shown}",
            pytrace=False,
        )


def found_writers(found: Any) -> Any:
    """The packages that wrote the files found."""
    return found.get("writers") if isinstance(found, dict) else None


def without_bytes(value: Any) -> Any:
    """Without the hashes of files: another pyarrow writes the same rows as other bytes."""
    if isinstance(value, dict):
        return {name: without_bytes(each) for name, each in value.items() if name not in ("bytes", "writers")}
    return value


def run_module(name: str, *words: str | Path) -> None:
    """`python -m NAME …` in this process, where the libraries are loaded already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_module(name, run_name="__main__", alter_sys=True)


def run_script(path: str, *words: str | Path) -> None:
    """`python PATH …` in this process; PATH as seen from the project's root."""
    with pytest.MonkeyPatch.context() as patch:
        # Scripts put the root in the place of their own folder.
        patch.setattr(sys, "path", [str(ROOT), *sys.path])
        patch.setattr(sys, "argv", [path, *map(str, words)])
        runpy.run_path(str(ROOT / path), run_name="__main__")


def flags(**settings: Any) -> list[str]:
    """Settings as a command line gives them."""
    words: list[str] = []
    for name, value in settings.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list | tuple) else [value])]
    return words


def builders(command: str, **settings: Any) -> None:
    """`python -m builders COMMAND`."""
    run_module("builders", command, *flags(**settings))


def steady(value: Any) -> Any:
    """Settings without the hashes that differ from commit to commit or from machine to machine."""
    if isinstance(value, dict):
        return {
            name: "HASH" if HASHED_BUILDS.fullmatch(name) and each is not None else steady(each)
            for name, each in sorted(value.items())
        }
    if isinstance(value, list):
        return [steady(each) for each in value]
    return HASHED_WEIGHTS.sub("sha256:WEIGHTS", value) if isinstance(value, str) else value


def rounded(value: Any) -> Any:
    """Figures without their last digits, which are the machine's."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 9) if isinstance(value, float) else value


def settings_of(folder: Path, file: str) -> dict[str, Any]:
    """The settings that a finished folder is known by: equal ones make it pass for up to date."""
    found: dict[str, Any] = steady(json.loads((folder / file).read_text())["settings"])
    return found


def dataset(folder: Path) -> dict[str, Any]:
    """A rendered dataset: its settings, its provenance's keys, its counts, and every Parquet file."""
    build = json.loads((folder / "build.json").read_text())
    files = {path.relative_to(folder).as_posix(): parquet_file(path) for path in sorted(folder.rglob("*.parquet"))}
    return {"settings": steady(build["settings"]), "build": sorted(build), "yield": build["yield"], "files": files}


def parquet_file(path: Path) -> dict[str, Any]:
    """Rows and types of a Parquet file, and its bytes."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(path)
    rows = json.dumps(table.to_pylist(), ensure_ascii=False).encode()
    types = "\n".join(f"{field.name}: {field.type}" for field in table.schema).encode()
    return {
        "rows": table.num_rows,
        "content": digest(rows),
        "types": digest(types),
        "bytes": digest(path.read_bytes()),
    }


def digest(data: bytes) -> str:
    """sha256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def names(folder: Path, pattern: str) -> list[str]:
    """Paths of the files and folders of a pattern, as seen from a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern))


def keep_every_index(patch: pytest.MonkeyPatch) -> None:
    """Have indexes saved that are built in no time."""
    patch.setattr(bm25s_index, "WORTH_KEEPING_SECONDS", -1.0)


def need(*modules: str) -> None:
    """Skip where a library is missing; without importing it, which takes seconds."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def borrow(name: str) -> None:
    """Have a model that this machine's own cache holds in the test's, too: under another name it would be made anew.

    To be called before the test has a cache of its own.
    """
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    own = Path(os.environ.get("QUERY_EXPANSION_KIT_CACHE") or Path(general, "query-expansion-kit"))
    if (own / name).is_dir():
        Path("cache", name).parent.mkdir(parents=True)
        Path("cache", name).symlink_to(own / name)


def in_cache_as_from_the_hub(model: Path) -> None:
    """Have a small model lie in the cache with the kit's own note that it is the Hub's, and a link in its place."""
    cached = Path("cache/checkpoints/tiny-base").absolute()
    cached.parent.mkdir(parents=True, exist_ok=True)
    model.rename(cached)
    (cached / "checkpoint.json").write_text(json.dumps(WEIGHTS))
    model.symlink_to(cached)


def put_answers(folder: Path) -> dict[str, str]:
    """The generation logs of a finished demo, as they were paid for; file name → text."""
    logs: dict[str, str] = json.loads(gzip.decompress((PINS / "demo-answers.json.gz").read_bytes()))
    folder.mkdir(parents=True)
    for name, text in logs.items():
        (folder / name).write_text(text)
    return logs


def small_world(folder: Path) -> None:
    """`words`, a collection with all splits, and `teacher.jsonl`, what a teacher is recorded to have said."""
    word_collection(folder / "words", SIZE)
    head, *lines = (folder / "words/qrels/train.tsv").read_text().splitlines()
    for split, judged in {"train": lines[:44], "dev": lines[44:52], "test": lines[52:]}.items():
        (folder / f"words/qrels/{split}.tsv").write_text("\n".join([head, *judged]) + "\n")
    for name in ("corpus", "queries"):
        path = folder / f"words/{name}.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for number, line in enumerate(lines):
            if number % 8 == 2:  # What a regression can learn: words of queries that stand for one of their pages.
                line["text"] = {"corpus": f"{line['text']}{' turbo' * 7}", "queries": "rapid delivery"}[name]
            else:
                line["text"] += f" {('fast', 'slow')[number % 2]}"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = []
    for number in range(SIZE):
        page = json.loads((folder / "words/corpus.jsonl").read_text().splitlines()[number])["text"].split()
        first, second = WORDS[number * 7 % 16], WORDS[(number + 5) % 16]
        said = {
            "zero": [f"{page[1]} page{number}", f"{first} {second}", f" {page[0]}  and {second} "],
            "few": [f"{second} {page[1]}", "" if number % 9 == 0 else f"{first} series"],
            "gold": [f"page{number} is about {page[0]} and {page[1]}\n of {first}" if number % 8 else "nothing"],
        }
        for prompt, texts in said.items():
            rows += [
                {
                    "query_id": f"q{number}",
                    "expansion": text,
                    "model": "m/big",
                    "prompt_id": prompt,
                    "mode": "fs" if prompt == "few" else "zs",
                    "temperature": 0.7,
                    "top_p": 0.9,
                    "top_k": 0,
                    "max_new_tokens": 16,
                    "seed": 3,
                    "completion_tokens": 2 + len(text.split()),
                }
                for text in texts
            ]
    (folder / "teacher.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


CANDIDATES = "prompt_id=zero|few"
RECORDED = {"expander": "recorded", "recorded": "teacher.jsonl"}
ZERO = {**RECORDED, "where": "prompt_id=zero"}
GOLD = {"prompt": "web-passage-self-reference", **RECORDED, "where": "prompt_id=gold"}
ASKED = {"collection": "words", "num_train": -1, "num_validation": -1}


def recorded_expansions(output_dir: str = "recorded", **settings: Any) -> None:
    """Candidates of the small world; nothing is generated."""
    given = {
        **ASKED,
        "prompts": "keywords-zero-shot",
        "samples": 3,
        "select": "all",
        **RECORDED,
        "where": CANDIDATES,
        **settings,
    }
    builders("expansions", output_dir=output_dir, **given)


def options(helped: str) -> dict[str, str | None]:
    """Option → default as a command's help tells them."""
    found: dict[str, str | None] = {}
    for entry in re.split(r"\n(?=  -)", helped)[1:]:
        invocation = re.split(r"\n| {2,}", entry.strip())[0]
        default = re.findall(r"\(default: (.*?)\)\s*$", entry.strip(), re.DOTALL)
        for name in re.findall(r"--[\w-]+", invocation):
            found[name.removeprefix("--").replace("-", "_")] = default[-1] if default else None
    return {name: found[name] for name in sorted(found) if name not in ("help", "config")}
