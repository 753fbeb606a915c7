"""What a rendered Space carries: the kit's modules that the app imports, and the requirements of those."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from builders.collections.pydocs.libraries import is_pydocs, libraries
from builders.errors import KitError


ROOT = Path(__file__).resolve().parent.parent
APP = Path("space/app.py")
KIT = ("builders", "space")
# Data files that travel with a package whose modules are carried.
DATA = (".yaml", ".css")
# Needed without a line that imports them: transformers places models by accelerate and reads chat templates by Jinja2.
UNSEEN = ("accelerate", "Jinja2")


def carried_files(left_out: AbstractSet[str]) -> list[Path]:
    """The modules that the app imports, at any depth and inside functions too, and their packages' data files.

    Args:
        left_out (`Set[str]`):
            Dotted names of modules that only functions import which this Space never calls.

    Returns:
        Paths relative to the repository, in order; the app itself is not among them.
    """
    seen: set[Path] = set()
    waiting = [APP]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in _imported(ROOT / path):
            # Of `from a import b` there is also the name a.b.
            if name not in left_out and name.rpartition(".")[0] not in left_out:
                waiting += _modules(name)
    folders = {path.parent for path in seen}
    data = {path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).iterdir() if path.suffix in DATA}
    return sorted((seen - {APP}) | data)


def third_party(paths: Iterable[Path]) -> set[str]:
    """Top-level names that modules (paths relative to the repository) import from elsewhere."""
    names = {name.partition(".")[0] for path in paths if path.suffix == ".py" for name in _imported(ROOT / path)}
    return names - set(sys.stdlib_module_names) - set(KIT)


def requirements(collection: str, left_out: AbstractSet[str], more: Iterable[str] = ()) -> str:
    """The content of `requirements.txt`: the releases installed here, of all that the carried modules need.

    Args:
        collection (`str`):
            Name of the collection.
        left_out (`Set[str]`):
            As for [`carried_files`]; names of packages count too.
        more (`Iterable[str]`, *optional*):
            Further distributions.

    Raises:
        KitError: one of them is not installed.
    """
    owners = importlib.metadata.packages_distributions()
    documented = [library.distribution for library in libraries(collection)] if is_pydocs(collection) else []
    needed = {*UNSEEN, *more, *documented}
    for name in third_party([APP, *carried_files(left_out)]) - left_out:
        if name not in owners:
            raise KitError(f"{name} is not installed: pip install 'query-expansion-kit[demo]'")
        needed.add(owners[name][0])
    lines = []
    for name in sorted(needed, key=str.lower):
        # The extra makes the app a server of tools (MCP).
        lines.append(f"{name}{'[mcp]' if name == 'gradio' else ''}=={release(name)}")
    return "\n".join(lines) + "\n"


def release(distribution: str) -> str:
    """The installed release, without the local suffix (+cpu, +cu130) that names a build of it.

    Raises:
        KitError: it is not installed.
    """
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError as error:
        raise KitError(f"{distribution} is not installed: pip install 'query-expansion-kit[demo]'") from error


def sources(left_out: AbstractSet[str]) -> Mapping[str, Path]:
    """Path in the rendered folder → file here; see [`carried_files`]."""
    return {"app.py": ROOT / APP, **{path.as_posix(): ROOT / path for path in carried_files(left_out)}}


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
