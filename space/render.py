"""Renders a folder that is a Space from an evaluation's results."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from builders.artifacts.files import atomic_folder, file_hash
from builders.artifacts.markdown import render_card
from builders.artifacts.model_folder import ADAPTER as TRAINED
from builders.artifacts.model_folder import adapter_name, kind_of_model, read_training
from builders.artifacts.ownership import SPACE, require_own
from builders.collections.pydocs.libraries import is_pydocs
from builders.errors import KitError
from builders.expanders.adapter import adapter_base
from builders.expanders.expander_file import require_measured
from builders.grading.comparison import without_relevant
from builders.grading.results_form import one_retriever, read_results
from space.about import TITLE, banner, engine, significance
from space.carried import carry_collection, release, requirements, sources
from space.pairs import PAIRS
from space.pairs import to_json as pairs_json
from space.recorded import QUERIES, measured_queries, to_json
from space.results import by_retriever, pairs_beside, query_rows
from space.retrieval import all_parts, more_retrievers, not_needed, packages, retriever_of_space
from space.settings import SETTINGS, SpaceSettings, System
from space.tabs.static_page import static_html


TEMPLATE = Path(__file__).with_name("README.template.md")
ADAPTER = "adapter"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)
# A file is made here (bytes), or copied from a path.
Files = dict[str, bytes | Path]


def render(results: Path, adapter: str | None, output: Path, static: bool = False) -> bool:
    """Write the Space of an evaluation.

    Args:
        results (`Path`):
            Folder with `results.json` and `per_query.parquet`.
        adapter (`str`, *optional*):
            Folder or Hub id of the student; by default the last one that was evaluated, else the base model writes.
        output (`Path`):
            The folder to write. What stands there is replaced as a whole.
        static (`bool`, *optional*, defaults to `False`):
            Whether it only shows what was measured: one HTML file, nothing to install.

    Returns:
        Whether anything changed.

    Raises:
        KitError: the output holds something else, the results are missing or broken, the adapter is missing or belongs
            to another base model, the base model has no Hub id, or the collection is too large to carry.
    """
    require_own(output, SPACE, results, adapter)
    evaluated = read_results(results / "results.json", "train/evaluate.py", _rely)
    measured = one_retriever(evaluated)
    files: Files = {}
    found = _settings(measured, adapter, files)
    others = more_retrievers(evaluated["retrievers"], found.retriever)
    settings = replace(found, by_retriever=by_retriever(evaluated), more_retrievers=others)
    recorded = measured_queries(query_rows(results), next(iter(evaluated["retrievers"])))
    pairs = pairs_beside(results)
    if static:
        files = {"index.html": static_html(settings, recorded, pairs).encode()}
    else:
        searched = all_parts([settings.retriever, *(spec for spec, _ in others.values())])
        left_out = not_needed(searched, settings.collection, settings.language, settings.prompt)
        needed = requirements(settings.collection, left_out, packages(searched))
        files |= {**sources(), QUERIES: to_json(recorded).encode(), "requirements.txt": needed.encode()}
        if pairs is not None:
            files[PAIRS] = pairs_json(pairs).encode()
    files["README.md"] = _readme(settings, static).encode()
    files[SETTINGS] = settings.to_json(_hashes(files)).encode()
    if _same(files, output):
        return False
    with atomic_folder(output, SPACE) as work:
        for name, content in files.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return True


def _rely(results: dict[str, Any]) -> None:
    """Look up what the rest relies on."""
    evaluated = one_retriever(results)
    for name in ("model", "collection", "prompt", "retriever", "formation", "max_new_tokens", "split"):
        evaluated["settings"][name]
    (
        evaluated["systems"]["plain"],
        evaluated["systems"]["base"]["identity"]["model_id"],
        evaluated["collection"]["source"],
        evaluated["collection"]["language"],
    )


def _settings(results: dict[str, Any], adapter: str | None, files: Files) -> SpaceSettings:
    """The settings; adds to `files` what has to be carried for them."""
    evaluated = results["settings"]
    base = results["systems"]["base"]["identity"]
    student = adapter or next(reversed(evaluated.get("adapters") or [None]))
    if base["model_id"].count("/") != 1:
        raise KitError(
            f"the results are of the local model {base['model_id']!r}, which a Space cannot load; "
            "push it to the Hub and evaluate it by its Hub id"
        )
    if student is not None and adapter_base(student) != base["model_id"]:
        raise KitError(f"adapter {student!r} belongs to {adapter_base(student)!r}, not to {base['model_id']!r}")
    known = {field.name for field in fields(System)}
    names = ("plain", "base", *(Path(trained).name for trained in evaluated.get("adapters") or ()))
    order = {name: place for place, name in enumerate(names)}
    return SpaceSettings(
        model=base["model_id"],
        revision=base["revision"] if base["weights"] == "the Hub" else None,
        package=evaluated["model"] if evaluated["model"].startswith("package:") else None,
        weights=base["weights"],
        adapter=None if student is None else _carry_adapter(student, files),
        student="base" if student is None else _system(student, results),
        collection=carry_collection(evaluated["collection"], files),
        source=results["collection"]["source"],
        judgments=results["collection"]["judgments"],
        language=results["collection"]["language"],
        retriever=retriever_of_space(evaluated["retriever"]),
        prompt=_carry_prompt(evaluated["prompt"], files),
        formation=evaluated["formation"],
        max_new_tokens=evaluated["max_new_tokens"],
        split=evaluated["split"],
        hardware=results.get("hardware", "the machine of the evaluation"),
        measured={
            name: System(**{key: value for key, value in row.items() if key in known})
            for name, row in sorted(results["systems"].items(), key=lambda item: order.get(item[0], len(order)))
        },
        without_relevant=without_relevant(results["collection"], evaluated["split"]),
        **{name: evaluated[name] for name in ("samples", "temperature", "top_k") if name in evaluated},
    )


def _system(adapter: str, results: dict[str, Any]) -> str:
    """The system that an adapter was measured as, by its name and, for a folder, its weights; else its own name.

    A Hub id answers to the name of the folder that was pushed there.
    """
    name = Path(adapter).name
    measured = results["systems"].get(name, {}).get("identity", {}).get("adapter")
    if Path(adapter).is_dir() and measured != adapter_name(adapter):
        return f"{name} (not measured)"
    return name


def _carry_adapter(adapter: str, files: Files) -> str:
    folder = Path(adapter)
    if not folder.is_dir():
        return adapter
    for name in ADAPTER_FILES:
        if not (folder / name).is_file():
            raise KitError(f"{folder}: {name} is missing; train the adapter again")
    if kind_of_model(folder):
        read_training(folder, TRAINED)  # Refuses what was altered since.
    require_measured(folder)
    files |= {
        f"{ADAPTER}/{name}": folder / name for name in (*ADAPTER_FILES, *TOKENIZER_FILES) if (folder / name).is_file()
    }
    return ADAPTER


def _carry_prompt(name: str, files: Files) -> str:
    if Path(name).suffix not in (".yaml", ".yml"):
        return name
    if not Path(name).is_file():
        raise KitError(f"{name}: the prompt of the evaluation is no longer there")
    files["prompt.yaml"] = Path(name)
    return "prompt.yaml"


def _readme(settings: SpaceSettings, static: bool) -> str:
    from huggingface_hub import SpaceCardData

    on_hub = [settings.model]
    if settings.adapter and settings.adapter != ADAPTER:
        on_hub.append(settings.adapter)
    kind: dict[str, Any] = {"sdk": "static", "app_file": "index.html"}
    if not static:
        kind = {"sdk": "gradio", "sdk_version": release("gradio"), "python_version": "3.12", "app_file": "app.py"}
    data = SpaceCardData(
        title=TITLE,
        emoji="🔎",
        colorFrom="indigo",
        colorTo="yellow",
        **kind,
        license="apache-2.0",
        short_description="What a small model's expansion does to a search",
        models=on_hub,
        tags=["query-expansion"] if static else ["mcp-server", "query-expansion"],
        suggested_hardware=None if static else "cpu-basic",
    )
    card = render_card(
        TEMPLATE,
        data,
        title=TITLE,
        settings=settings,
        static=static,
        pydocs=is_pydocs(settings.collection),
        banner=banner(settings),
        engine=engine(settings),
        significance=significance(settings.runs) if settings.runs else "",
    )
    return card.rstrip() + "\n"


def _hashes(files: Files) -> dict[str, str]:
    """Name → sha256 of all files but the card, which its owner may edit."""
    return {
        name: hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else file_hash(content)
        for name, content in sorted(files.items())
        if name != "README.md"
    }


def _same(files: Mapping[str, bytes | Path], folder: Path) -> bool:
    """Whether the folder holds exactly these files. What Python leaves there when the app runs does not count."""
    import filecmp

    if not folder.is_dir():
        return False
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    there = {name for name in there if "__pycache__" not in name and not name.startswith(".gradio")}
    return there == set(files) and all(
        (folder / name).read_bytes() == content
        if isinstance(content, bytes)
        else filecmp.cmp(content, folder / name, shallow=False)
        for name, content in files.items()
    )
