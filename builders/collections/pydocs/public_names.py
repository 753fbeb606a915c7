"""Under which public names the definitions of a package can be reached, resolved without importing it."""

from collections.abc import Iterator, Mapping

from builders.collections.pydocs.source_module import Definition, Module


# Importable without an underscore, yet private (or, like numpy.core, deprecated) by their own documentation.
PRIVATE_MODULES = ("numpy.core", "pandas.core", "pandas.compat", "scipy.signal.spline")


class PublicNames:
    """The public names of one package's definitions.

    A name is public when no part of it begins with an underscore and the module exports it: by `__all__`, by importing
    it in an `__init__` without a readable `__all__`, or by defining it. Methods are reached through the class that
    defines them and through every subclass that does not override them (base classes in depth-first order).

    Args:
        modules (`Mapping[str, Module]`):
            Of one package, from `builders.collections.pydocs.source_tree.read_package`.
    """

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._found: dict[tuple[str, str], Definition | str | None] = {}

    def names(self) -> dict[str, Definition]:
        """Every public name → its definition; functions and classes first, methods after them."""
        found: dict[str, Definition] = {}
        for module_name in self._modules:
            module = self._modules.get(module_name) if _is_public(module_name) else None
            if module is None:
                continue
            for name in self._offered(module):
                target = self._resolve(module.name, name)
                if isinstance(target, Definition) and not name.startswith("_"):
                    found[f"{module.name}.{name}"] = target
        for path, definition in list(found.items()):
            self._add_methods(path, definition, found)
        return found

    def _add_methods(self, path: str, definition: Definition, found: dict[str, Definition]) -> None:
        for name, method in self._methods(definition, set()).items():
            if not name.startswith("_"):
                found.setdefault(f"{path}.{name}", method)
        for name, written in definition.accessors.items():
            accessor = self._dotted(definition.module, written)
            if isinstance(accessor, Definition):
                found.setdefault(f"{path}.{name}", accessor)
                self._add_methods(f"{path}.{name}", accessor, found)

    def _offered(self, module: Module) -> list[str]:
        """The names a module means to offer, as against those it merely uses."""
        exported = self._exported(module, frozenset())
        if exported is not None:
            return exported
        own = [*module.definitions, *module.aliases]
        return list(dict.fromkeys([*own, *module.imports, *self._starred(module)])) if module.is_package else own

    def _exported(self, module: Module, seen: frozenset[str]) -> list[str] | None:
        """`__all__`, or None where there is none that can be read."""
        if not module.closed or module.name in seen:
            return None
        names = list(module.exported)
        for local in module.exported_like:
            other = self._modules.get(str(self._dotted(module.name, local)))
            names += self._visible(other, seen | {module.name}) if other else []
        return names

    def _starred(self, module: Module) -> Iterator[str]:
        for source in module.stars:
            if source in self._modules:
                yield from self._visible(self._modules[source], frozenset({module.name}))

    def _visible(self, module: Module, seen: frozenset[str]) -> list[str]:
        """What `from module import *` binds."""
        exported = self._exported(module, seen)
        if exported is not None:
            return exported
        if module.declared:
            return module.exported
        names = [*module.definitions, *module.aliases, *module.imports]
        for source in module.stars:
            if source in self._modules and source not in seen:
                names += self._visible(self._modules[source], seen | {module.name})
        return [name for name in names if not name.startswith("_")]

    def _resolve(self, module_name: str, name: str) -> Definition | str | None:
        """What a name means in a module: a definition, the dotted name of a module, or None."""
        key = (module_name, name)
        if key not in self._found:
            self._found[key] = None  # ends circular imports
            self._found[key] = self._look_up(module_name, name)
        return self._found[key]

    def _look_up(self, module_name: str, name: str) -> Definition | str | None:
        module = self._modules.get(module_name)
        if module is None:
            return None
        if name in module.definitions:
            return module.definitions[name]
        if name in module.imports:
            source, attribute = module.imports[name]
            if not attribute:
                return source if source in self._modules else None
            found = self._resolve(source, attribute)
            if found is not None:
                return found
        if name in module.aliases and module.aliases[name] != name:
            found = self._dotted(module_name, module.aliases[name])
            if found is not None:
                return found
        for source in reversed(module.stars):
            if source in self._modules and name in self._visible(self._modules[source], frozenset({module_name})):
                found = self._resolve(source, name)
                if found is not None:
                    return found
        submodule = f"{module_name}.{name}"
        if submodule in self._modules:
            return submodule
        return self._wrapped(module, name)

    def _wrapped(self, module: Module, name: str) -> Definition | str | None:
        """A name of `__all__` bound at run time (SciPy's array-API wrappers): what it wraps is imported here."""
        if name not in (self._exported(module, frozenset()) or ()):
            return None
        for local in module.imports:
            other = self._resolve(module.name, local)
            if isinstance(other, str) and other.startswith(f"{module.name.rsplit('.', 1)[0]}._"):
                found = self._resolve(other, name)
                if isinstance(found, Definition):
                    return found
        return None

    def _dotted(self, module_name: str, path: str) -> Definition | str | None:
        if path in self._modules:
            return path
        found: Definition | str | None = module_name
        for part in path.split("."):
            if not isinstance(found, str):
                return None
            found = self._resolve(found, part)
        return found

    def _methods(self, definition: Definition, seen: set[int]) -> dict[str, Definition]:
        if id(definition) in seen:
            return {}
        seen.add(id(definition))
        found = dict(definition.methods)
        for base in definition.bases:
            parent = self._dotted(definition.module, base)
            if isinstance(parent, Definition):
                for name, method in self._methods(parent, seen).items():
                    # An override without a docstring inherits the one above it.
                    if name not in found or not found[name].docstring:
                        found[name] = method
        return found


def _is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split(".")) and not any(
        name == private or name.startswith(f"{private}.") for private in PRIVATE_MODULES
    )
