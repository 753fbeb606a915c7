"""The embedded collection: static reading, public names, numpydoc sections, judgments."""

import gzip
import importlib.metadata
import subprocess
import sys
from functools import lru_cache

import pytest

import builders.collections.pydocs.pydocs as pydocs_module
from builders.artifacts.cache import cache_dir
from builders.collections.collection import split_of
from builders.collections.load import load_collection
from builders.collections.pydocs.docstrings import read_docstring
from builders.collections.pydocs.public_names import PublicNames
from builders.collections.pydocs.pydocs import load_pydocs, name_words
from builders.collections.pydocs.source_tree import read_package
from builders.errors import KitError
from builders.retrievers.bm25s_index import Bm25sRetriever


@lru_cache(maxsize=1)
def collection():
    return load_pydocs()


def documents():
    return {document.id: document for document in collection().documents}


DOCSTRING = """
    solve(a, b)
    --

    solve(a, b, *, lower=False)

    Solve the equation ``a x = b`` for `x`,
    assuming :func:`~scipy.linalg.norm` is finite [1]_.

    Some more words.

    Parameters
    ----------
    a : array
        Left side.
    ${ARRAY_FUNCTION_LIKE}

    See Also
    --------
    inv, pinv : Inverses
        with det : no name
    :func:`~scipy.linalg.lstsq`: Least squares.
    `numpy.dot`

    Notes
    -----
    Kept.

    References
    ----------
    .. [1] Gone.

    Examples
    --------
    >>> gone
    """


def test_docstring_is_taken_apart():
    found = read_docstring(DOCSTRING)
    assert found.summary == "Solve the equation a x = b for x, assuming norm is finite."
    assert found.see_also == ("inv", "pinv", "scipy.linalg.lstsq", "numpy.dot")
    assert found.sections == {"parameters", "see also", "notes", "references", "examples"}
    assert found.body == (
        "Some more words.\n\nParameters\n----------\na : array\n    Left side.\n\nNotes\n-----\nKept."
    )


@pytest.mark.parametrize("between", ["\n\n", "\n"])
def test_signatures_of_several_lines_are_no_summary(between):
    found = read_docstring(
        f"array(\n    object, dtype=None,\n    like=None,\n)\n--{between}Create an array of it.\n\nMore."
    )
    assert (found.summary, found.body) == ("Create an array of it.", "More.")


@pytest.mark.parametrize(
    "text", ["", "f(x)", "f(\n    x,\n)\n--\n", ".. deprecated:: 1.0\n   Use g.\n", "Parameters\n----------\nx : int"]
)
def test_no_summary(text):
    assert read_docstring(text).summary == ""


def test_public_names_of_a_package(tmp_path, monkeypatch):
    files = {
        "__init__.py": "from ._a import *\nfrom ._a import _h as shown\nfrom . import sub\nimport os\n"
        "def __getattr__(name):\n    from ._lazy import late\n    return late\n",
        "_a.py": "__all__ = ['f']\n__all__ += ['C']\n__all__.extend(['D'])\nraise SystemExit('executed')\n"
        "def f(): 'f'\ndef g(): 'not exported'\ndef _h(): 'h'\n"
        "class _Base:\n    def inherited(self): 'i'\n    def _private(self): 'p'\n"
        "class C(_Base):\n    def own(self): 'o'\nclass D(C):\n    def own(self): 'other'\n",
        "_lazy.py": "def late(): 'l'\n",
        "sub/__init__.py": "from .._a import C as Renamed\n",
        "sub/plain.py": "from .._a import f\ndef here(): 'h'\n",
        "tests/test_x.py": "def test_x(): 'x'\n",
    }
    for name, text in files.items():
        path = tmp_path / "samplepkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {name: item.docstring for name, item in PublicNames(read_package("samplepkg")).names().items()}
    assert found == {
        "samplepkg.f": "f",
        "samplepkg.C": "",
        "samplepkg.D": "",
        "samplepkg.shown": "h",
        "samplepkg.late": "l",
        "samplepkg.sub.Renamed": "",
        "samplepkg.sub.plain.here": "h",
        "samplepkg.C.own": "o",
        "samplepkg.C.inherited": "i",
        "samplepkg.D.own": "other",
        "samplepkg.D.inherited": "i",
        "samplepkg.sub.Renamed.own": "o",
        "samplepkg.sub.Renamed.inherited": "i",
    }
    assert "samplepkg" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "numpy.arange",  # add_newdoc
        "numpy.ndarray.sort",
        "numpy.linalg.lstsq",
        "scipy.linalg.lstsq",
        "scipy.signal.butter",  # bound at run time by an array-API wrapper
        "scipy.special.agm",
        "pandas.DataFrame.merge",
        "pandas.Index.str.split",  # an accessor, which Index and Series share
        "pandas.util.hash_array",  # a lazy import
        "sklearn.metrics.f1_score",
        "sklearn.svm.SVC",
    ],
)
def test_public_name_is_a_document(name):
    assert documents()[name].title == name


def test_names_are_public_and_unique():
    ids = [document.id for document in collection().documents]
    assert len(ids) == len(set(ids)) > 3000
    assert not [name for name in ids if any(part.startswith("_") for part in name.split("."))]
    assert not [name for name in ids if ".tests." in name or ".core." in name and name.startswith("pandas")]


def test_no_query_is_a_call_signature():
    """Of NumPy's functions in C, whose docstrings have their signatures over several lines."""
    assert not [query.id for query in collection().queries.values() if query.text.endswith("--")]
    assert collection().queries["q:numpy.concatenate"].text == "Join a sequence of arrays along an existing axis."
    assert "q:numpy.array" not in collection().queries  # "Create an array." is too short


def test_documents_follow_the_rules():
    texts = [document.text for document in collection().documents]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert len(text.split()) >= 30
        assert "Parameters\n---" in text or "Parameters\n===" in text
        assert "\nSee Also\n---" not in text and "\nExamples\n---" not in text and "\nReferences\n---" not in text
        assert "%(" not in text or ")s" not in text
    lstsq = documents()["scipy.linalg.lstsq"].text
    assert "Compute least-squares solution" not in lstsq.split("Parameters")[0]
    assert not collection().index_title


def test_queries_and_judgments():
    found = collection()
    ids = set(documents())
    texts = [query.text.casefold() for query in found.queries.values()]
    assert len(set(texts)) == len(texts) > 2500
    for query in found.queries.values():
        name = query.id.removeprefix("q:")
        assert len(query.text.split()) >= 4
        assert query.split == split_of(query.id)
        assert found.qrels[query.id][name] == 2
        assert found.gold(query.id) == {name}
        assert set(found.qrels[query.id]) <= ids
        assert set(found.qrels[query.id].values()) <= {1, 2}
    assert found.queries["q:scipy.linalg.lstsq"].text == "Compute least-squares solution to the equation a @ x = b."
    assert found.qrels["q:numpy.argsort"]["numpy.lexsort"] == 1  # named as `lexsort` in See Also


def test_statistics_tell_the_resolution_rate():
    counts = collection().statistics
    assert counts["see_also_resolved"] / counts["see_also_links"] > 0.8
    assert counts["skipped_template"] > 0 and counts["skipped_without_parameters"] > 0
    assert collection().versions["numpy"] == importlib.metadata.version("numpy")
    assert set(collection().versions) == {"numpy", "scipy", "pandas", "scikit-learn"}


def test_reading_imports_none_of_the_libraries(tmp_path):
    code = (
        "import sys; from builders.collections.pydocs.pydocs import load_pydocs; load_pydocs();"
        "print([m for m in ('numpy', 'scipy', 'pandas', 'sklearn') if m in sys.modules])"
    )
    collection()  # so that the subprocess, too, reads the cache and stays quick
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_damaged_cache_is_rebuilt(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path))
    content = {"documents": [["a", "text"]], "queries": {"q:a": "x"}, "qrels": {"q:a": {"a": 2}}, "statistics": {}}
    reads = []
    monkeypatch.setattr(pydocs_module, "_read", lambda packages: reads.append(1) or content)
    first = load_pydocs()
    [path] = cache_dir("pydocs").iterdir()
    written = path.read_bytes()
    assert load_pydocs().fingerprint == first.fingerprint and len(reads) == 1
    for damage in (written[:-9], b"", gzip.compress(b"[]"), gzip.compress(b"{")):
        path.write_bytes(damage)
        assert load_pydocs().fingerprint == first.fingerprint
        assert path.read_bytes() == written
    assert len(reads) == 5


def test_missing_library(monkeypatch):
    def version(name):
        if name == "pandas":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(KitError, match=r"pandas.*pip install 'query-expansion-kit\[pydocs\]'"):
        load_pydocs()
    with pytest.raises(KitError, match="no_such_package_here"):
        read_package("no_such_package_here")


PAGE = '''
def solve{0}(a):
    """Solve the {0} system of linear equations.

    Parameters
    ----------
    a : array
        {1}

    See Also
    --------
    solve0
    """
'''


@pytest.fixture
def other_library(tmp_path, monkeypatch):
    """An installed library, `otherlib` of the distribution `other-lib`, with three pages and a broken file."""
    package = tmp_path / "otherlib"
    package.mkdir()
    pages = [PAGE.format(number, f"Word{number} " * 40) for number in range(3)]
    (package / "__init__.py").write_text("raise SystemExit('executed')\n" + "".join(pages))
    (package / "template.py").write_text("def {{ name }}(): pass\n")
    described = tmp_path / "other_lib-1.2.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: other-lib\nVersion: 1.2\nLicense-Expression: MIT\n"
    )
    (described / "top_level.txt").write_text("otherlib\n")
    (described / "RECORD").write_text("otherlib/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path / "cache"))
    return package


def test_documentation_of_another_library(other_library):
    found = load_collection("pydocs:otherlib")
    assert [document.id for document in found.documents] == ["otherlib.solve0", "otherlib.solve1", "otherlib.solve2"]
    assert found.queries["q:otherlib.solve1"].text == "Solve the 1 system of linear equations."
    assert found.qrels["q:otherlib.solve1"] == {"otherlib.solve1": 2, "otherlib.solve0": 1}
    assert (found.name, found.licence, found.versions) == ("pydocs:otherlib", "MIT", {"other-lib": "1.2"})
    assert found.source == "API documentation of otherlib, read from the installed packages"
    assert "otherlib" not in sys.modules


def test_the_same_pages_under_the_words_of_their_names(other_library):
    """`pydocs+names` indexes what who searches an API knows: how its functions are called."""
    found, plain = load_collection("pydocs+names:otherlib"), load_collection("pydocs:otherlib")
    assert [(one.id, one.title) for one in found.documents][:2] == [
        ("otherlib.solve0", "solve 0"),
        ("otherlib.solve1", "solve 1"),
    ]
    assert found.index_title and (found.name, found.queries, found.qrels) == (
        "pydocs+names:otherlib",
        plain.queries,
        plain.qrels,
    )
    assert [one.text for one in found.documents] == [one.text for one in plain.documents]
    assert [hit.document_id for hit in Bm25sRetriever(found).search(["solve 2"], 1)[0]] == ["otherlib.solve2"]
    assert load_collection("pydocs+names: otherlib,otherlib").fingerprint == found.fingerprint != plain.fingerprint


def test_words_of_a_name():
    assert name_words("pandas.DataFrame.to_csv") == "data frame to csv"
    assert name_words("numpy.linalg.LinAlgError") == "linalg lin alg error"
    assert name_words("otherlib") == ""


def test_the_order_of_packages_does_not_matter(other_library):
    found = load_collection("pydocs:sklearn,otherlib")
    again = load_collection("pydocs:otherlib, sklearn,otherlib")
    assert found.name == again.name == "pydocs:otherlib,sklearn"
    assert found.fingerprint == again.fingerprint
    assert found.versions == {"other-lib": "1.2", "scikit-learn": importlib.metadata.version("scikit-learn")}
    assert found.licence == "BSD-3-Clause, MIT"
    alone = {document.id for document in load_collection("pydocs:sklearn").documents}
    assert {document.id for document in found.documents} - alone == {f"otherlib.solve{number}" for number in range(3)}


def test_library_without_numpydoc(other_library):
    (other_library / "__init__.py").write_text('def f(a):\n    """Add one.\n\n    Args:\n        a: It.\n    """\n')
    with pytest.raises(KitError, match="pydocs:otherlib.*numpydoc form"):
        load_collection("pydocs:otherlib")
    assert not list(cache_dir("pydocs").iterdir())


@pytest.mark.parametrize(
    "text",
    [b"(" * 150, b"x = " + b"-" * 100_000 + b"1", b"a = b" + b".c" * 50_000, b"x = 1\0", b"x = '\xff'", b"\xff\xfe"],
    ids=["parentheses", "signs", "attributes", "null", "no-utf8", "bytes"],
)
def test_unreadable_file_is_left_out(other_library, text):
    (other_library / "strange.py").write_bytes(text)
    assert len(load_collection("pydocs:otherlib").documents) == 3


def test_library_in_development(other_library):
    """On the path, and no distribution says that it holds it."""
    (other_library.parent / "other_lib-1.2.dist-info" / "METADATA").unlink()
    for name in ("top_level.txt", "RECORD"):
        (other_library.parent / "other_lib-1.2.dist-info" / name).unlink()
    found = load_collection("pydocs:otherlib")
    assert len(found.documents) == 3
    assert (found.licence, found.versions) == ("not stated", {"otherlib": "not stated"})


def test_changed_file_is_read_again(other_library):
    before = load_collection("pydocs:otherlib")
    (other_library / "more.py").write_text(PAGE.format(3, "another " * 40))
    assert len(load_collection("pydocs:otherlib").documents) == len(before.documents) + 1


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("pydocs:", "'' is no name of a package"),
        ("pydocs:sklearn,", "'' is no name of a package"),
        ("pydocs:scikit-learn", "'scikit-learn' is no name of a package"),
        ("pydocs:no_such_package_here", "'no_such_package_here', which is not installed"),
    ],
)
def test_bad_name_of_libraries(name, part):
    with pytest.raises(KitError, match=part):
        load_collection(name)


@pytest.mark.parametrize("name", ["", "nonsense", "/no/such/folder"])
def test_unknown_collection(name):
    with pytest.raises(KitError, match="give pydocs, .*OWNER/NAME.*; PATH stands for a folder"):
        load_collection(name)
