"""Finds what a rendered Space carries, modules of the app and data of the collection, and what must be installed."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from builders.collections.clicks import CLICKS, holds_clicks, shareable_log
from builders.collections.files.archive import is_archive, unpack
from builders.collections.files.lines import COMPRESSED
from builders.collections.files.metadata import Metadata, read_metadata
from builders.collections.folder import folder_kind
from builders.collections.pydocs.libraries import is_pydocs, libraries
from builders.errors import KitError


ROOT = Path(__file__).resolve().parent.parent
APP = Path("space/app.py")
KIT = ("builders", "space")
# Data files that travel with a package whose modules are carried.
DATA = (".yaml", ".css", ".js")
# Where torch has a build for machines without a GPU, which pip takes for the newer one: it draws no CUDA packages.
CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"
# Needed without a line that imports them: transformers places models by accelerate and reads chat templates by Jinja2.
UNSEEN = ("accelerate", "Jinja2")
COLLECTION_FILES = (".jsonl", ".json", ".tsv", ".csv", ".txt", ".parquet", ".xml", ".trec", ".yaml")
# A Space is a git repository with a small disk: a larger collection belongs into a dataset of its own.
COLLECTION_BYTES = 200 * 2**20


def carried_files() -> list[Path]:
    """The modules that the app imports, at any depth and inside functions too, and their packages' data files.

    Returns:
        Paths relative to the repository, in order; the app itself is not among them.
    """
    seen = _reached(frozenset())
    folders = {path.parent for path in seen}
    data = {path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).iterdir() if path.suffix in DATA}
    return sorted((seen - {APP}) | data)


def requirements(collection: str, left_out: AbstractSet[str], more: Iterable[str] = ()) -> str:
    """The content of `requirements.txt`: the releases installed here, of all that the Space needs.

    Args:
        collection (`str`):
            Name of the collection.
        left_out (`Set[str]`):
            Dotted names of carried modules that this Space never runs, and names of packages that it does not need.
        more (`Iterable[str]`, *optional*):
            Further distributions.

    Raises:
        KitError: one of them is not installed.
    """
    owners = importlib.metadata.packages_distributions()
    documented = [library.distribution for library in libraries(collection)] if is_pydocs(collection) else []
    needed = {*UNSEEN, *more, *documented}
    imported = {name.partition(".")[0] for path in _reached(left_out) for name in _imported(ROOT / path)}
    for name in imported - set(sys.stdlib_module_names) - set(KIT) - left_out:
        if name not in owners:
            raise KitError(f"{name} is not installed: pip install 'query-expansion-kit[demo]'")
        needed.add(owners[name][0])
    # The extra makes the app a server of tools (MCP).
    extras = {"gradio": "[mcp]"}
    lines = [f"{name}{extras.get(name, '')}=={release(name)}" for name in sorted(needed, key=str.lower)]
    return "\n".join([*([CPU_WHEELS] if "torch" in needed else ()), *lines]) + "\n"


def release(distribution: str) -> str:
    """The installed release, without the local suffix (+cpu, +cu130) that names a build of it.

    Raises:
        KitError: it is not installed.
    """
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError as error:
        raise KitError(f"{distribution} is not installed: pip install 'query-expansion-kit[demo]'") from error


def sources() -> Mapping[str, Path]:
    """Path in the rendered folder → file here; see [`carried_files`]."""
    return {"app.py": ROOT / APP, **{path.as_posix(): ROOT / path for path in carried_files()}}


def carry_collection(name: str, files: dict[str, bytes | Path]) -> str:
    """Put a local collection among the files of a Space; of a search log, only queries, documents and numbers.

    Returns:
        Its place in the Space; the name itself where it is no local collection.

    Raises:
        KitError: it is too large to carry, or a part of it lies outside of its folder.
    """
    folder = Path(name).expanduser()
    if is_pydocs(name) or not folder.exists():
        return name
    place = f"collection/{folder.resolve().name}"
    if folder.is_file():
        place, carried = _data_file(folder, place)
    else:
        carried = _data_files(folder, place)
    size = sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in carried.values())
    if size > COLLECTION_BYTES:
        raise KitError(
            f"{folder}: {size >> 20} MiB are too many to carry in a Space (at most {COLLECTION_BYTES >> 20})"
        )
    files |= carried
    return place


def _reached(left_out: AbstractSet[str]) -> set[Path]:
    """The app, and the modules that it reaches by imports without going through those that are left out."""
    seen: set[Path] = set()
    waiting = [APP]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            # Of `from a import b` there is also the name a.b.
            names = {name for name in _imported(ROOT / path) if not {name, name.rpartition(".")[0]} & left_out}
            waiting += [module for name in names for module in _modules(name)]
    return seen


def _imported(path: Path) -> set[str]:
    """Dotted names that a file imports; of `from a import b` both `a` and `a.b`, since `b` may be a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _modules(name: str) -> list[Path]:
    """The files of the kit that importing a dotted name runs: the module's and its packages'."""
    parts = name.split(".")
    if parts[0] not in KIT:
        return []
    found = []
    for length in range(1, len(parts) + 1):
        place = Path(*parts[:length])
        found += [path for path in (place / "__init__.py", place.with_suffix(".py")) if (ROOT / path).is_file()]
    return found


def _data_files(folder: Path, place: str) -> dict[str, bytes | Path]:
    stated = read_metadata(folder)
    corpus = stated.corpus
    if corpus is not None and not (folder / corpus).resolve().is_relative_to(folder.resolve()):
        raise KitError(
            f"{folder}: its corpus {corpus!r} lies elsewhere, and a Space carries one folder; copy it there"
        )
    paths = [path for path in sorted(folder.rglob("*")) if _is_data(path)]
    if folder_kind(folder, stated) is not CLICKS:
        return {f"{place}/{path.relative_to(folder).as_posix()}": path for path in paths}
    left_out, name, rows = shareable_log(folder, stated)
    kept = [path for path in paths if path not in left_out]
    return {f"{place}/{name}": rows, **{f"{place}/{path.relative_to(folder).as_posix()}": path for path in kept}}


def _data_file(path: Path, place: str) -> tuple[str, dict[str, bytes | Path]]:
    if is_archive(path) and folder_kind(inside := unpack(path), read_metadata(inside)) is CLICKS:
        raise KitError(f"{path}: a search log in an archive, users and times included; unpack it, and give the folder")
    if not holds_clicks(path):
        return place, {place: path}
    _, name, rows = shareable_log(path, Metadata())
    return f"collection/{name}", {f"collection/{name}": rows}


def _is_data(path: Path) -> bool:
    name = path.with_suffix("") if path.suffix in COMPRESSED else path
    return path.is_file() and name.suffix in COLLECTION_FILES and not path.name.startswith(".")
