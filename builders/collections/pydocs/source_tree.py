"""The modules of an installed package, read from their files with `ast`: nothing is imported or executed."""

import ast
import hashlib
import importlib.util
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from builders.collections.pydocs.newdocs import file_newdocs
from builders.collections.pydocs.source_module import Definition, Module, dotted
from builders.errors import KitError


Result = TypeVar("Result")

# Folders and files of an installed package that are not its own public code.
SKIPPED_PARTS = frozenset({
    "tests", "conftest", "externals", "_external", "_vendor", "vendored", "extern", "_extern", "_examples",
    "array_api_compat", "array_api_extra", "cobyqa", "pyprima", "_uarray", "distutils", "_pyinstaller", "_precompute",
})  # fmt: skip


class Modules(MutableMapping[str, Module]):
    """The modules of an installed package by dotted name, in a stable order; each is read when it is asked for.

    Parsing takes most of the time, and half of the private modules offer nothing that is public.

    Args:
        files (`Mapping[str, Path]`):
            Dotted name → file. A file that nobody can import (a template, code of another Python, or nested beyond
            what Python reads) is no module.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._read: dict[str, Module | Path | None] = dict(files)

    def __getitem__(self, name: str) -> Module:
        found = self._read[name]
        if isinstance(found, Path):
            is_package = found.stem == "__init__"
            found = self._read[name] = _parsed(found, lambda tree: _read_module(name, is_package, tree))
        if found is None:
            raise KeyError(name)
        return found

    def __setitem__(self, name: str, module: Module) -> None:
        self._read[name] = module

    def __delitem__(self, name: str) -> None:
        del self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


def read_package(package: str) -> Modules:
    """The modules of an installed top-level package.

    Documentation that stands in `add_newdoc` calls (`_add_newdocs*.py`) is filed under the module that it names.

    Raises:
        KitError: the package is not installed, or is a single file.
    """
    root = _root(package)
    files: dict[str, Path] = {}
    for path in sorted(root.rglob("*.py")):
        parts = (package, *path.relative_to(root).with_suffix("").parts)
        if not SKIPPED_PARTS.intersection(parts):
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    modules = Modules(files)
    for name, path in files.items():
        if path.stem.startswith("_add_newdocs"):
            _parsed(path, partial(file_newdocs, name, modules=modules))
    return modules


def _parsed(path: Path, read: Callable[[ast.Module], Result]) -> Result | None:
    """What is read in a file's syntax tree; `None` where Python cannot parse it, or it is nested too deep."""
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            tree = ast.parse(path.read_bytes())
        return read(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def files_stamp(package: str) -> str:
    """A short text that changes when a Python file of an installed package does: by names, sizes and times.

    Raises:
        KitError: as for [`read_package`].
    """
    root = _root(package)
    seen = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        status = path.stat()
        seen.update(f"{path.relative_to(root)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:16]


def _root(package: str) -> Path:
    # find_spec of a submodule would import its parents; of a top-level package it imports nothing.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise KitError(
            f"{package} is no installed package with files of its own, so there is no documentation to read"
        )
    return Path(spec.submodule_search_locations[0])


def _read_module(name: str, is_package: bool, tree: ast.Module) -> Module:
    module = Module(name, is_package)
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            _keep_documented(module.definitions, node.name, _definition(name, "", node))
            if node.name == "__getattr__":  # the lazy imports of a package
                for inner in ast.walk(node):
                    if isinstance(inner, ast.ImportFrom):
                        _read_import(module, inner)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            _read_import(module, node)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            _read_assignment(module, node)
        elif isinstance(node, ast.Delete):
            # Private names stay: SciPy deletes a module after taking over its __all__.
            for target in node.targets:
                if not dotted(target).startswith("_"):
                    module.imports.pop(dotted(target), None)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            if dotted(call.func) in ("__all__.extend", "__all__.append") and call.args:
                _read_all(module, call.args[0])
            elif dotted(call.func) == "extend_all" and call.args:  # NumPy's own helper for `__all__`
                module.exported_like.append(dotted(call.args[0]))
    return module


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, those inside `if`, `try` and `with` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _statements(node.body)
            yield from _statements(getattr(node, "orelse", []))


def _definition(module: str, owner: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Definition:
    decorators = [dotted(d.func if isinstance(d, ast.Call) else d).rsplit(".", 1)[-1] for d in node.decorator_list]
    templated = bool({"doc", "Appender", "Substitution"}.intersection(decorators))
    # Not cleaned yet: most are nobody's public name.
    docstring = ast.get_docstring(node, clean=False) or ""
    found = Definition(module, owner + node.name, docstring if docstring.strip() else "", templated)
    if isinstance(node, ast.ClassDef):
        found.bases = [base for base in map(dotted, node.bases) if base]
        for inner in _statements(node.body):
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                _keep_documented(found.methods, inner.name, _definition(module, f"{node.name}.", inner))
            elif isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Call):
                if dotted(inner.value.func).endswith("Accessor") and len(inner.value.args) == 2:
                    found.accessors[dotted(inner.targets[0])] = dotted(inner.value.args[1])
    return found


def _keep_documented(into: dict[str, Definition], name: str, found: Definition) -> None:
    """File a definition; an undocumented second one (an overload, a setter) does not hide a documented first."""
    if name not in into or found.docstring:
        into[name] = found


def _read_import(module: Module, node: ast.Import | ast.ImportFrom) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            module.imports[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0],
                "",
            )
        return
    source = node.module or ""
    if node.level:
        package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
        base = package[: len(package) - node.level + 1]
        source = ".".join([*base, source] if source else base)
    for alias in node.names:
        if alias.name == "*":
            module.stars.append(source)
        else:
            module.imports[alias.asname or alias.name] = (source, alias.name)


def _read_assignment(module: Module, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        name = dotted(target)
        if name == "__all__" and node.value is not None:
            if isinstance(node, ast.Assign):
                module.closed = module.declared = True
            _read_all(module, node.value)
        elif name and isinstance(node.value, ast.List | ast.Tuple | ast.Set | ast.Dict):
            module.tables[name] = node.value
        elif name and "." not in name and node.value is not None and dotted(node.value):
            module.aliases[name] = dotted(node.value)


def _read_all(module: Module, value: ast.expr) -> None:
    """Add to `__all__`: literals, names of literals, `m.__all__`, copies and sums; anything else leaves it open."""
    call = dotted(value.func) if isinstance(value, ast.Call) else ""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        module.exported.append(value.value)
    elif isinstance(value, ast.List | ast.Tuple | ast.Set):
        for element in value.elts:
            _read_all(module, element.value if isinstance(element, ast.Starred) else element)
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.BitOr):
        _read_all(module, value.left)
        _read_all(module, value.right)
    elif isinstance(value, ast.Dict):
        for key in value.keys:
            if key is not None:
                _read_all(module, key)
    elif dotted(value) in module.tables:
        _read_all(module, module.tables[dotted(value)])
    elif dotted(value).endswith(".__all__"):
        module.exported_like.append(dotted(value).removesuffix(".__all__"))
    elif call.endswith(".__all__.copy"):
        module.exported_like.append(call.removesuffix(".__all__.copy"))
    elif call.endswith(".keys") and call.removesuffix(".keys") in module.tables:
        _read_all(module, module.tables[call.removesuffix(".keys")])
    elif isinstance(value, ast.Call) and call in ("list", "set", "sorted") and value.args:
        _read_all(module, value.args[0])
    else:
        module.closed = False
        if isinstance(value, ast.ListComp) and dotted(getattr(value.generators[0].iter, "func", value)) == "dir":
            module.declared = False
