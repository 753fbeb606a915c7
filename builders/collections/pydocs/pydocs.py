"""Makes the collection `pydocs` of the API documentation of NumPy, SciPy, pandas and scikit-learn, or of others."""

import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from builders.artifacts.cache import cache_dir
from builders.artifacts.files import atomic_write
from builders.collections.collection import Collection, Document, Query, split_of
from builders.collections.pydocs.docstrings import Docstring, read_docstring
from builders.collections.pydocs.libraries import (
    NAME,
    PREFIX,
    TITLED,
    TITLED_PREFIX,
    Library,
    documented,
    is_pydocs,
    libraries,
    pydocs_name,
    untitled,
)
from builders.collections.pydocs.public_names import PublicNames
from builders.collections.pydocs.source_module import Definition
from builders.collections.pydocs.source_tree import files_stamp, read_package
from builders.collections.source import Source
from builders.errors import KitError


MINIMUM_BODY_WORDS = 30
MINIMUM_QUERY_WORDS = 4
# Raise it whenever the same installed files would be read differently: it is part of the cache's key.
READING = 2

_PLACEHOLDER = re.compile(r"%\(\w+\)s|\$\{\w+\}")
_FORMAT_FIELD = re.compile(r"\{\w+\}")
_NAME_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def load_pydocs(name: str = NAME, language: str | None = None) -> Collection:
    """Docstrings as documents, their summaries as queries, their See Also as further judgments.

    Everything is read statically from the installed files; none of the libraries is imported. The result is kept in
    the cache until one of the files changes.

    * Document: the docstring of a public function, class or method that has a Parameters section, without summary,
      Examples, References and See Also; 30 words or more; of exact duplicates the one with the shortest name. Its id
      and title are the shortest public name, a method's preferably that of the class which defines it. Titles are
      not indexed.
    * Query: a summary of four words or more that no other object shares; id `q:` + the object's name.
    * Judgments: the object itself 2; what its See Also names, where that is a document, 1.

    Not read, because their documentation is compiled in or put together at run time: NumPy's ufuncs (`numpy.add`) and
    `numpy.random`; many functions of `scipy.special` and other Cython code (also pandas' `Timestamp` and friends);
    `scipy.stats` distributions; every docstring with template placeholders (some of `scipy.ndimage`), which is
    counted. Shared text that a decorator inserts on a line of its own (NumPy's argument `like`) is missing.

    Args:
        name (`str`):
            `pydocs` for NumPy, SciPy, pandas and scikit-learn; `pydocs:PACKAGE,…` for other installed libraries whose
            docstrings have the numpydoc form. `pydocs+names` and `pydocs+names:PACKAGE,…` are the same pages titled
            by the words of their names ([`name_words`]), and titles are indexed there, as who searches an API knows
            them.
        language (`str`, *optional*):
            `en`, if any.

    Returns:
        The collection. `statistics` counts documents per library, what was skipped and why, and how many of the
        queries' See Also names were resolved (`see_also_resolved` of `see_also_links`).

    Raises:
        KitError: one of the libraries is not installed, none of their docstrings makes a query, or another language
            is asked for.
    """
    if language not in (None, "en"):
        raise KitError(f"--language {language}: pydocs is in English")
    read = libraries(name)
    state = [READING, *((item.package, item.version, files_stamp(item.package)) for item in read)]
    key = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]
    path = cache_dir("pydocs") / f"{key}.json.gz"
    try:
        return _collection(json.loads(gzip.decompress(path.read_bytes())), pydocs_name(name), read)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        pass  # absent or damaged: what was made once can be made again
    content = _read([item.package for item in read])
    if not content["queries"]:
        raise KitError(
            f"collection {name!r}: no docstring there has the numpydoc form, a summary line and below it a section "
            "'Parameters' underlined by dashes, so there is nothing to search"
        )
    atomic_write(path, gzip.compress(json.dumps(content, ensure_ascii=False).encode(), compresslevel=6, mtime=0))
    return _collection(content, pydocs_name(name), read)


@dataclass(frozen=True)
class _Object:
    """A documented public object; `context` are the prefixes under which its See Also may abbreviate names."""

    name: str
    docstring: Docstring
    context: tuple[str, ...]


def _read(packages: Iterable[str]) -> dict[str, Any]:
    """Documents, queries, judgments and statistics, as the cache keeps them."""
    counts: Counter[str] = Counter()
    objects: list[_Object] = []
    named: dict[str, str] = {}
    for package in packages:
        found, names = _objects(package, counts)
        objects += found
        named |= names
    # Shortest name first, so that it is the one kept of exact duplicates.
    objects.sort(key=lambda item: (item.name.count("."), item.name))
    kept: dict[str, str] = {}
    document_of: dict[str, str] = {}
    distinct: list[_Object] = []
    for item in objects:
        body = item.docstring.body
        first = kept.get(body)
        if first is None or not _is_document(item.docstring):
            distinct.append(item)
        if not _is_document(item.docstring):
            reason = "short" if "parameters" in item.docstring.sections else "without_parameters"
            counts[f"skipped_{reason}"] += 1
            continue
        if first is not None:
            counts["skipped_duplicate"] += 1
        document_of[item.name] = kept.setdefault(body, item.name)
    documents = {name: body for body, name in sorted(kept.items(), key=lambda pair: pair[1])}
    queries, qrels = _queries(distinct, documents, document_of, named, counts)
    for name in documents:
        counts[f"documents_{name.split('.')[0]}"] += 1
    return {
        "documents": list(documents.items()),
        "queries": queries,
        "qrels": qrels,
        "statistics": {key: counts[key] for key in sorted(counts)},
    }


def _objects(package: str, counts: Counter[str]) -> tuple[list[_Object], dict[str, str]]:
    """The public objects of a package that have a docstring, and every public name → the object's own name."""
    paths: dict[int, list[str]] = {}
    definitions: dict[int, Definition] = {}
    names = PublicNames(read_package(package)).names()
    for path, definition in names.items():
        paths.setdefault(id(definition), []).append(path)
        definitions[id(definition)] = definition
    own: dict[int, str] = {}
    objects = []
    for key, definition in definitions.items():
        name = own[key] = _own_name(definition, paths[key], names)
        if not definition.docstring:
            continue
        counts["public_objects"] += 1
        if _PLACEHOLDER.search(definition.docstring.replace("${ARRAY_FUNCTION_LIKE}", "")) or (
            definition.templated and _FORMAT_FIELD.search(definition.docstring)
        ):
            counts["skipped_template"] += 1
            continue
        places = (*paths[key], f"{definition.module}.{definition.name}")
        prefixes = {parent for place in places for parent in _parents(place)}
        context = tuple(sorted(prefixes, key=lambda prefix: (-prefix.count("."), prefix)))
        objects.append(_Object(name, read_docstring(definition.docstring), context))
    return objects, {path: own[id(definition)] for path, definition in names.items()}


def _own_name(definition: Definition, paths: list[str], names: dict[str, Definition]) -> str:
    """The shortest path; of a method, one through the class that defines it where that class is public."""

    def order(path: str) -> tuple[bool, int, bool, str]:
        owner = names.get(path.rsplit(".", 1)[0])
        inherited = "." in definition.name and not (owner and f"{owner.name}." in definition.name)
        return inherited, path.count("."), path.rsplit(".", 1)[-1] != definition.name.rsplit(".", 1)[-1], path

    return min(paths, key=order)


def _parents(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _is_document(docstring: Docstring) -> bool:
    return "parameters" in docstring.sections and docstring.words >= MINIMUM_BODY_WORDS


def _queries(
    objects: list[_Object],
    documents: dict[str, str],
    document_of: dict[str, str],
    named: dict[str, str],
    counts: Counter[str],
) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """Query id → text and query id → judgments. `objects` holds every docstring once, documents or not."""
    summaries = Counter(item.docstring.summary.casefold() for item in objects)
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for item in sorted(objects, key=lambda item: item.name):
        summary = item.docstring.summary
        if item.name not in documents:
            continue
        if len(summary.split()) < MINIMUM_QUERY_WORDS:
            counts["summaries_too_short" if summary else "summaries_missing"] += 1
            continue
        if summaries[summary.casefold()] > 1:
            counts["summaries_shared"] += 1
            continue
        judged = {item.name: 2}
        for link in dict.fromkeys(item.docstring.see_also):
            counts["see_also_links"] += 1
            target = _target(link, item, named)
            document = document_of.get(target) if target else None
            if document is not None:
                counts["see_also_resolved"] += 1
                judged.setdefault(document, 1)
            elif target is not None:
                counts["see_also_without_document"] += 1
        queries[f"q:{item.name}"] = summary
        qrels[f"q:{item.name}"] = judged
    return queries, qrels


def _target(link: str, item: _Object, named: dict[str, str]) -> str | None:
    """The object that a See Also name means: a full name, or one relative to what surrounds `item`, nearest first."""
    for short, full in (("np.", "numpy."), ("pd.", "pandas.")):
        link = full + link.removeprefix(short) if link.startswith(short) else link
    candidates = (link, *(f"{prefix}.{link}" for prefix in item.context))
    return next((named[path] for path in candidates if path in named), None)


def name_words(name: str) -> str:
    """The words of a public name without its package: `preprocessing standard scaler` of a class, in lower case.

    ```python
    >>> name_words("sklearn.preprocessing.StandardScaler.get_params")
    'preprocessing standard scaler get params'

    ```
    """
    return " ".join(word.lower() for word in _NAME_WORD.findall(name.partition(".")[2]))


def _collection(content: dict[str, Any], name: str, read: list[Library]) -> Collection:
    documents, queries, qrels, statistics = (content[key] for key in ("documents", "queries", "qrels", "statistics"))
    titled = untitled(name) != name
    return Collection(
        name=name,
        language="en",
        documents=[Document(own, name_words(own) if titled else own, body) for own, body in documents],
        queries={key: Query(key, text, split_of(key)) for key, text in queries.items()},
        qrels=qrels,
        source=f"API documentation of {documented(name)}, read from the installed packages",
        licence="BSD-3-Clause" if untitled(name) == NAME else ", ".join(sorted({item.licence for item in read})),
        judgments="The object that a summary line describes is relevant (2), and so are those its See Also names (1).",
        versions={item.distribution: item.version for item in read},
        statistics=statistics,
        index_title=titled,
    )


PYDOCS = Source(
    (NAME, f"{PREFIX}PACKAGE,…", TITLED, f"{TITLED_PREFIX}PACKAGE,…"),
    "installed Python libraries with docstrings in the numpydoc form, such as `pydocs:networkx,xarray`: pages, "
    "queries and judgments are read from them; `pydocs+names` also indexes the words of the pages' names",
    is_pydocs,
    load_pydocs,
)
