"""The modules of an installed package, read from their files with `ast`: nothing is imported or executed."""

import ast
import hashlib
import importlib.util
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from builders.collections.pydocs.newdocs import file_newdocs
from builders.collections.pydocs.source_module import Definition, Module, dotted
from builders.errors import KitError


# Folders and files of an installed package that are not its own public code.
SKIPPED_PARTS = frozenset({
    "tests", "conftest", "externals", "_external", "_vendor", "vendored", "extern", "_extern", "_examples",
    "array_api_compat", "array_api_extra", "cobyqa", "pyprima", "_uarray", "distutils", "_pyinstaller", "_precompute",
})  # fmt: skip


def read_package(package: str) -> dict[str, Module]:
    """Every module of an installed top-level package, by dotted name, in a stable order.

    Documentation that stands in `add_newdoc` calls (`_add_newdocs*.py`) is filed under the module that it names.

    Raises:
        KitError: the package is not installed, or is a single file.
    """
    root = _root(package)
    modules: dict[str, Module] = {}
    newdocs: list[tuple[str, ast.Module]] = []
    for path in sorted(root.rglob("*.py")):
        parts = (package, *path.relative_to(root).with_suffix("").parts)
        if SKIPPED_PARTS.intersection(parts):
            continue
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        try:
            with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
                tree = ast.parse(path.read_bytes())
            modules[name] = _read_module(name, is_package, tree)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # a template, code of another Python, or nested beyond what Python reads: nobody can import it
        if parts[-1].startswith("_add_newdocs"):
            newdocs.append((name, tree))
    for name, tree in newdocs:
        file_newdocs(name, tree, modules)
    return modules


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
    found = Definition(module, owner + node.name, ast.get_docstring(node) or "", templated)
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
