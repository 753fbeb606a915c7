"""The installed libraries whose documentation a collection is: `pydocs`, or `pydocs:PACKAGE,…`."""

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass

from builders.errors import KitError


NAME = "pydocs"
PREFIX = f"{NAME}:"
# The same pages under titles that are indexed: the words of their names.
TITLED, TITLED_PREFIX = f"{NAME}+names", f"{NAME}+names:"
# Distribution → package of `pydocs` itself.
EMBEDDED = {"numpy": "numpy", "scipy": "scipy", "pandas": "pandas", "scikit-learn": "sklearn"}

_PACKAGE = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Library:
    """One installed library.

    Args:
        package (`str`), distribution (`str`), version (`str`):
            What Python imports, what pip installs, and the installed release: `sklearn`, `scikit-learn`, `1.9.1`.
        licence (`str`):
            As its metadata state it: an SPDX expression where there is one.
    """

    package: str
    distribution: str
    version: str
    licence: str


def is_pydocs(name: str) -> bool:
    """Whether the name of a collection means documentation of installed libraries."""
    return name in (NAME, TITLED) or name.startswith((PREFIX, TITLED_PREFIX))


def untitled(name: str) -> str:
    """The collection of the same pages whose names are not indexed: `pydocs:xarray` of `pydocs+names:xarray`."""
    return NAME + name.removeprefix(TITLED) if name.startswith(TITLED) else name


def pydocs_name(name: str) -> str:
    """The one name of a collection that may be written in several ways: packages in order, each once.

    Raises:
        KitError: what stands after `pydocs:` are no names of packages.
    """
    if name in (NAME, TITLED):
        return name
    prefix = TITLED_PREFIX if name.startswith(TITLED_PREFIX) else PREFIX
    return prefix + ",".join(sorted(set(_packages(name))))


def libraries(name: str) -> list[Library]:
    """The libraries that the name of a collection means, in the order of their packages; of `pydocs`, its own four.

    Raises:
        KitError: one of them is not installed, or the name is none.
    """
    if untitled(name) == NAME:
        return [_library(distribution, package) for distribution, package in EMBEDDED.items()]
    owners = importlib.metadata.packages_distributions()
    found = []
    for package in _packages(pydocs_name(name)):
        if package in owners:
            found.append(_library(owners[package][0], package))
        elif importlib.util.find_spec(package) is not None:
            # Installed for development, or on the path: some build tools do not say what such a distribution holds.
            found.append(Library(package, package, "not stated", "not stated"))
        else:
            raise KitError(
                f"collection {name!r} reads the documentation of the package {package!r}, which is not installed: "
                "install it, and give the name that Python imports (sklearn, not scikit-learn)"
            )
    return found


def documented(name: str) -> str:
    """The libraries in prose: "NumPy, SciPy, pandas and scikit-learn"."""
    if untitled(name) == NAME:
        return "NumPy, SciPy, pandas and scikit-learn"
    *most, last = _packages(pydocs_name(name))
    return f"{', '.join(most)} and {last}" if most else last


def _packages(name: str) -> list[str]:
    packages = [package.strip() for package in untitled(name).removeprefix(PREFIX).split(",")]
    for package in packages:
        if not _PACKAGE.fullmatch(package):
            raise KitError(
                f"collection {name!r}: {package!r} is no name of a package; give pydocs:PACKAGE or "
                "pydocs:PACKAGE,PACKAGE, such as pydocs:networkx,xarray"
            )
    return packages


def _library(distribution: str, package: str) -> Library:
    try:
        metadata = importlib.metadata.metadata(distribution)
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        raise KitError(
            f"collection 'pydocs' reads the documentation of {distribution}, which is not installed: "
            "pip install 'query-expansion-kit[pydocs]'"
        ) from error
    return Library(package, distribution, version, _licence(metadata))


def _licence(metadata: importlib.metadata.PackageMetadata) -> str:
    """The SPDX expression (PEP 639), else what the classifiers say, else that nothing is stated."""
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = metadata.get_all("Classifier") or []
    named = [text.rsplit(" :: ", 1)[-1] for text in classifiers if text.startswith("License :: ")]
    return " or ".join(named) or "not stated"
