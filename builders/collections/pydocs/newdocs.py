"""Reads documentation that stands beside the code: the `add_newdoc` calls for functions written in C."""

import ast
from collections.abc import MutableMapping

from builders.collections.pydocs.source_module import Definition, Module, dotted


def file_newdocs(name: str, tree: ast.Module, modules: MutableMapping[str, Module]) -> None:
    """File the docstrings of `_add_newdocs*.py` under the modules that they name.

    The calls are `add_newdoc(module, object, doc | (method, doc) | [(method, doc), …])` and two short forms:
    SciPy's `add_newdoc(ufunc, doc)` is about the extension module beside its file, NumPy's `_array_method_doc(method,
    signature, doc)` about `ndarray`.
    """
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and dotted(node.func) in ("add_newdoc", "_array_method_doc")):
            continue
        literals = [_literal(argument) for argument in node.args]
        if dotted(node.func) == "_array_method_doc" and len(literals) == 3:
            literals = ["numpy._core.multiarray", "ndarray", (literals[0], literals[2])]
        elif len(literals) == 2:
            literals.insert(0, name.rsplit(".", 1)[0] + "._ufuncs")
        if len(literals) != 3 or not (isinstance(literals[0], str) and isinstance(literals[1], str)):
            continue
        where, owner, doc = literals[0], literals[1], literals[2]
        module = modules.setdefault(where, Module(where, is_package=False))
        found = module.definitions.setdefault(owner, Definition(where, owner))
        for pair in doc if isinstance(doc, list) else [doc]:
            if isinstance(pair, str):
                found.docstring = found.docstring or pair
            elif isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair):
                found.methods.setdefault(pair[0], Definition(where, f"{owner}.{pair[0]}", pair[1]))


def _literal(node: ast.expr) -> object:
    """The value of a literal; of `"…".replace(…)`, the text before; None for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "replace":
        return _literal(node.func.value)
    if isinstance(node, ast.Tuple):
        return tuple(_literal(element) for element in node.elts)
    if isinstance(node, ast.List):
        return [_literal(element) for element in node.elts]
    return node.value if isinstance(node, ast.Constant) else None
