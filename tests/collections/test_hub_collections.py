"""Collections on the Hub, over HTTP: the layouts of BeIR and mteb, MIRACL, and what cannot be read."""

import gzip
import io
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from builders.errors import KitError
from tests.hub_server import HubServer
from tests.hub_server.fixtures import hub, run_client
from tests.support.collection_folders import jsonl, miracl, tsv


__all__ = ["hub"]

DOCUMENTS = [{"_id": str(n), "title": f"title {n}", "text": f"text {n}"} for n in range(8)]
QUERIES = [{"_id": f"{n}", "text": f"query {n}"} for n in range(6)]
JUDGED = {"train": range(4), "test": range(4, 6)}
QRELS = {split: [{"query-id": n, "corpus-id": n, "score": 1.0} for n in rows] for split, rows in JUDGED.items()}

LOAD = """
from builders.collections.load import load_collection
from builders.errors import KitError

def load(name, language=None):
    try:
        found = load_collection(name, language)
    except KitError as error:
        return str(error)
    return {
        "name": found.name,
        "language": found.language,
        "licence": found.licence,
        "source": found.source,
        "judgments": found.judgments,
        "versions": dict(found.versions),
        "documents": [[d.id, d.title, d.text] for d in found.documents],
        "splits": {q.id: q.split for q in found.queries.values()},
        "qrels": found.qrels,
        "fingerprint": found.fingerprint,
    }

for name in names:
    result[name] = load(name)
if offline:
    from huggingface_hub import constants
    constants.HF_HUB_OFFLINE = True
    for name in names:
        result["offline " + name] = load(name)
"""


def load(hub: HubServer, *names: str, offline: bool = False, token: str | None = None) -> dict:
    return run_client(hub, LOAD, token, names=names, offline=offline)


def table(rows) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def card(configs: dict[str, dict[str, str]], **more: str) -> bytes:
    lines = ["---", *(f"{key}: {value}" for key, value in more.items()), "configs:"]
    for name, files in configs.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        for split, path in files.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    return "\n".join([*lines, "---", "# a dataset"]).encode()


MTEB = {
    "README.md": card(
        {
            "corpus": {"corpus": "corpus.jsonl"},
            "default": {"train": "qrels/train.jsonl", "test": "qrels/test.jsonl"},
            "queries": {"queries": "queries.jsonl"},
        },
        language="\n- eng",
        license="cc-by-4.0",
    ),
    "corpus.jsonl": jsonl(DOCUMENTS).encode(),
    "queries.jsonl": jsonl(QUERIES).encode(),
    "qrels/train.jsonl": jsonl(QRELS["train"]).encode(),
    "qrels/test.jsonl": jsonl(QRELS["test"]).encode(),
}
# What must never be fetched, and would do harm if it were run.
HARMFUL = {
    "scifact.py": b"raise SystemExit('executed')",
    "corpus.pkl": b"cos\nsystem\n(S'true'\ntR.",
    "corpus/loader.py": b"raise SystemExit('executed')",
    "model.bin": b"\x80\x04",
}
BEIR = {
    "README.md": card(
        {"corpus": {"corpus": "corpus/corpus-*"}, "queries": {"queries": "queries/queries-*"}},
        language="\n- en",
        license="cc-by-sa-4.0",
    ),
    "corpus/corpus-00000-of-00002.parquet": table(DOCUMENTS[:5]),
    "corpus/corpus-00001-of-00002.parquet": table(DOCUMENTS[5:]),
    "queries/queries-00000-of-00001.parquet": table(QUERIES),
    **HARMFUL,
}
COMPANION = {
    "README.md": b"---\nlicense: cc-by-sa-4.0\n---\n",
    **{
        f"{split}.tsv": ("query-id\tcorpus-id\tscore\n" + tsv((n, n, 1) for n in rows)).encode()
        for split, rows in JUDGED.items()
    },
}
LEGACY = {
    "corpus.jsonl.gz": gzip.compress(jsonl(DOCUMENTS).encode()),
    "queries.jsonl.gz": gzip.compress(jsonl(QUERIES).encode()),
    **HARMFUL,
}


def put(hub: HubServer, name: str, files: dict[str, bytes], **how) -> str:
    repository = hub.create_repo("dataset", name, **how)
    return repository.commit(files)


def test_the_layouts_give_the_same_collection(hub):
    """Parquet with a companion, JSONL with configs, and bare files; with commits, and again without connection."""
    commits = {
        "BeIR/scifact": put(hub, "BeIR/scifact", BEIR),
        "BeIR/scifact-qrels": put(hub, "BeIR/scifact-qrels", COMPANION),
        "mteb/scifact": put(hub, "mteb/scifact", MTEB),
        "old/scifact": put(hub, "old/scifact", LEGACY),
        "old/scifact-qrels": put(hub, "old/scifact-qrels", COMPANION),
    }
    names = ["BeIR/scifact", "mteb/scifact", "old/scifact"]
    found = load(hub, *names, offline=True)
    for name in names:
        one = found[name]
        assert one == found[f"offline {name}"]
        assert one["documents"] == [list(document.values()) for document in DOCUMENTS]
        assert one["splits"] == {str(n): split for split, rows in JUDGED.items() for n in rows}
        assert one["qrels"] == {str(n): {str(n): 1} for rows in JUDGED.values() for n in rows}
        assert one["language"] == "en" and one["name"] == "scifact"
        own = [key for key in (name, f"{name}-qrels") if key in commits]
        assert one["versions"] == {key: commits[key] for key in own} and commits[name][:12] in one["source"]
    assert found["mteb/scifact"]["licence"] == "cc-by-4.0"
    assert len({found[name]["fingerprint"] for name in names}) == 1
    asked = [entry.path for entry in hub.requests() if "/resolve/" in entry.path]
    assert any(path.endswith(".parquet") for path in asked)
    assert not [path for path in asked if path.endswith((".py", ".pkl", ".bin"))]


def test_revisions_are_pinned(hub):
    first = put(hub, "mteb/scifact", MTEB)
    repository = hub.repo("dataset", "mteb/scifact")
    repository.tag("v1")
    second = repository.commit(
        {"corpus.jsonl": jsonl([*DOCUMENTS, {"_id": "8", "title": "", "text": "new"}]).encode()}
    )
    found = load(hub, "mteb/scifact", "mteb/scifact@v1", f"mteb/scifact@{first}", "mteb/scifact@v9")
    assert found["mteb/scifact"]["versions"] == {"mteb/scifact": second}
    assert len(found["mteb/scifact"]["documents"]) == 9
    for name in ("mteb/scifact@v1", f"mteb/scifact@{first}"):
        assert found[name]["versions"] == {"mteb/scifact": first} and len(found[name]["documents"]) == 8
    assert found["mteb/scifact@v9"] == "mteb/scifact@v9: the dataset has no such branch, tag or commit"


def test_miracl(hub, tmp_path):
    folder = miracl(tmp_path / "miracl-v1.0-zh")
    topics = {f"miracl-v1.0-zh/{path.relative_to(folder)}": path.read_bytes() for path in folder.glob("*/*.tsv")}
    passages = {
        f"miracl-corpus-v1.0-zh/{path.name}.gz": gzip.compress(path.read_bytes()) for path in folder.glob("docs-*")
    }
    versions = {
        "miracl/miracl": put(hub, "miracl/miracl", {**topics, "miracl.py": b"raise SystemExit('executed')"}),
        "miracl/miracl-corpus": put(hub, "miracl/miracl-corpus", passages),
    }
    found = load(hub, "miracl:zh", "miracl:sw")
    assert found["miracl:zh"]["versions"] == versions and found["miracl:zh"]["language"] == "zh"
    assert found["miracl:zh"]["name"] == "miracl-zh" and len(found["miracl:zh"]["documents"]) == 40
    assert found["miracl:zh"]["splits"]["d1#0"] == "test"
    assert "put them into a folder yourself" in found["miracl:sw"]


def test_configs_of_a_language_and_judgments_of_one_split(hub):
    files = {
        "README.md": card(
            {
                f"{language}-{part}": {split: f"{language}/{part}.jsonl"}
                for language in ("en", "zh")
                for part, split in (("corpus", "dev"), ("queries", "dev"), ("qrels", "dev"))
            }
        )
    }
    for language in ("en", "zh"):
        files[f"{language}/corpus.jsonl"] = jsonl({"id": f"{language}{n}", "text": f"{n}"} for n in range(6)).encode()
        files[f"{language}/queries.jsonl"] = jsonl({"id": f"{n}", "text": "问题"} for n in range(6)).encode()
        files[f"{language}/qrels.jsonl"] = jsonl(
            {"query-id": f"{n}", "corpus-id": f"{language}{n}", "score": 1} for n in range(6)
        ).encode()
    put(hub, "mteb/wiki", files)
    script = LOAD.replace("load(name)", "load(name, 'zh')", 1)
    found = run_client(hub, script, names=["mteb/wiki"], offline=False)["mteb/wiki"]
    assert [document[0] for document in found["documents"]] == [f"zh{n}" for n in range(6)]
    assert set(found["splits"].values()) == {"validation"} and len(found["splits"]) == 6


def test_a_corpus_that_is_repeated_in_each_split_and_languages_of_three_letters(hub):
    """The layouts of MLDR (`de-corpus` with splits dev and test) and of XPQA (`deu-deu-corpus`)."""
    parts = ("corpus", "queries", "qrels")
    for name, start, splits in (("mteb/MLDR", "de", ("dev", "test")), ("mteb/XPQA", "deu-deu", ("test",))):
        configs = {f"{start}-{part}": {split: f"{part}/{split}.jsonl" for split in splits} for part in parts}
        configs["eng-deu-corpus"] = {"test": "none.jsonl"}
        files = {"README.md": card(configs)}
        for number, split in enumerate(splits):
            files[f"corpus/{split}.jsonl"] = jsonl(DOCUMENTS).encode()
            files[f"queries/{split}.jsonl"] = jsonl(
                {"_id": f"{split}{n}", "text": "was ist das"} for n in range(2)
            ).encode()
            files[f"qrels/{split}.jsonl"] = jsonl(
                {"query-id": f"{split}{n}", "corpus-id": f"{number}", "score": 1} for n in range(2)
            ).encode()
        put(hub, name, files)
    for language in ("de", "deu"):
        script = LOAD.replace("load(name)", f"load(name, {language!r})", 1)
        found = run_client(hub, script, names=["mteb/MLDR", "mteb/XPQA"], offline=False)
        for one in found.values():
            assert isinstance(one, dict), one
            assert one["language"] == "de" and one["documents"] == [list(document.values()) for document in DOCUMENTS]
        splits = found["mteb/MLDR"]["splits"]
        assert list(splits) == ["dev0", "dev1", "test0", "test1"]
        assert list(splits.values()) == ["validation", "validation", "test", "test"]
        assert found["mteb/XPQA"]["qrels"] == {"test0": {"0": 1}, "test1": {"0": 1}}
    assert "give --language with one of de, en" in load(hub, "mteb/XPQA")["mteb/XPQA"]
    changed = jsonl([{**DOCUMENTS[0], "text": "another"}, *DOCUMENTS[1:]]).encode()
    hub.repo("dataset", "mteb/MLDR").commit({"corpus/test.jsonl": changed})
    refused = run_client(hub, LOAD.replace("load(name)", "load(name, 'de')", 1), names=["mteb/MLDR"], offline=False)
    assert "test.jsonl, row 1: id '0' stands twice, with two texts" in refused["mteb/MLDR"]


def test_what_cannot_be_read_is_said_in_one_line(hub):
    bare = {name: content for name, content in MTEB.items() if name != "README.md"}
    put(hub, "kit-owner/private", MTEB, private=True)
    put(hub, "x/gated", MTEB)
    hub.repo("dataset", "x/gated").set(gated="manual")
    put(hub, "x/no-corpus", {"queries.jsonl": bare["queries.jsonl"], "qrels/test.tsv": COMPANION["test.tsv"]})
    put(hub, "x/no-qrels", {**LEGACY, "README.md": b"# nothing"})
    put(hub, "x/script-only", HARMFUL)
    put(hub, "x/broken-card", {**bare, "README.md": b"---\nconfigs: [\n---\n"})
    for name, path in {
        "above": "../../../../../../../../../../etc/passwd",
        "absolute": "/etc/passwd",
        "url": "http://a/b.jsonl",
    }.items():
        configs = {"corpus": {"corpus": path}, "queries": {"queries": "queries.jsonl"}, "qrels": {"test": "qrels/*"}}
        put(hub, f"x/{name}", {**bare, "README.md": card(configs)})
    put(hub, "x/bad-row", {**MTEB, "corpus.jsonl": b'{"_id": "1"}\n'})
    expected = {
        "no/thing": "no/thing: no such folder here, and no such dataset on the Hub, or none this token sees",
        "kit-owner/private": "none this token sees",
        "x/gated": "x/gated: a gated dataset; accept its terms",
        "x/no-corpus": "x/no-corpus: no corpus in it",
        "x/no-qrels": "x/no-qrels: no config qrels or default, and x/no-qrels-qrels: no such folder here",
        "x/script-only": "x/script-only: no config qrels",
        "x/broken-card": "its metadata cannot be read",
        "x/above": "lies outside of the repository",
        "x/absolute": "lies outside of the repository",
        "x/url": "lies outside of the repository",
        "x/bad-row": 'corpus.jsonl, row 1: field "text" is missing',
    }
    found = load(hub, *expected, token=hub.stranger_token)
    for name, part in expected.items():
        assert isinstance(found[name], str) and "\n" not in found[name], found[name]
        assert part in found[name], found[name]


def test_a_server_that_fails_and_one_that_is_not_there(hub):
    put(hub, "mteb/scifact", MTEB)
    hub.fault("GET", "/api/datasets/mteb/scifact", times=50, status=403)
    found = load(hub, "mteb/scifact")
    assert found["mteb/scifact"].startswith("mteb/scifact: "), found
    found = run_client(
        hub,
        f"from huggingface_hub import constants\nconstants.ENDPOINT = 'http://127.0.0.1:9'\n{LOAD}",
        names=["a/b"],
        offline=False,
    )
    assert "a/b: no such folder here, and not in the Hub's cache while the Hub cannot be reached" in found["a/b"]


def test_a_name_that_is_a_folder_is_the_folder(tmp_path, monkeypatch):
    from builders.collections.load import load_collection
    from tests.support.collection_folders import beir

    monkeypatch.chdir(tmp_path)
    beir(Path("mteb") / "scifact")
    assert load_collection("mteb/scifact").source == "a local folder in BEIR form, scifact"
    with pytest.raises(KitError, match="not a collection in a form that is known"):
        load_collection("mteb")
