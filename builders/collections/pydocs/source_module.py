"""What one Python file defines and binds, as far as its text says."""

import ast
from dataclasses import dataclass, field


@dataclass
class Definition:
    """A function or class, or a method of a class.

    Args:
        module (`str`), name (`str`):
            Where it is written, e.g. `scipy.linalg._basic` and `lstsq`; a method's name has its class before it.
        docstring (`str`):
            As written; empty when it has none.
        templated (`bool`):
            Whether a decorator fills in the docstring, so that `{name}` in it stands for another text.
        bases (`list[str]`), methods (`dict[str, Definition]`), accessors (`dict[str, str]`):
            Of a class: the base classes as written, what its body defines, and its attributes such as pandas'
            `str = Accessor("str", StringMethods)`, as `{"str": "StringMethods"}`.
    """

    module: str
    name: str
    docstring: str = ""
    templated: bool = False
    bases: list[str] = field(default_factory=list)
    methods: dict[str, "Definition"] = field(default_factory=dict)
    accessors: dict[str, str] = field(default_factory=dict)


@dataclass
class Module:
    """What one file binds at its top level.

    Args:
        definitions (`dict[str, Definition]`):
            Functions and classes defined here.
        imports (`dict[str, tuple[str, str]]`):
            Local name → (module, attribute); the attribute is empty where the name is the module itself.
        stars (`list[str]`):
            Modules of `from … import *`, in order.
        aliases (`dict[str, str]`):
            `a = b.c` as `{"a": "b.c"}`.
        exported (`list[str]`), exported_like (`list[str]`):
            The names in `__all__`, and the modules (as named here) whose `__all__` it takes over.
        declared (`bool`), closed (`bool`):
            Whether `__all__` lists names at all (not just `dir()`), and whether it could be read as a whole.
        tables (`dict[str, ast.expr]`):
            Literal lists, sets and dictionaries bound here, from which `__all__` may be put together.
    """

    name: str
    is_package: bool
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    exported: list[str] = field(default_factory=list)
    exported_like: list[str] = field(default_factory=list)
    declared: bool = False
    closed: bool = False
    tables: dict[str, ast.expr] = field(default_factory=dict)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute expression; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
