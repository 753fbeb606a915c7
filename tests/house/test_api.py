"""Uses the kit as a library: load an expander, expand, formulate for an engine, evaluate; and runs `qexpand`."""

import json
import re
import resource
import subprocess
import sys

import pytest

import builders
from builders import KitError, evaluate, load_collection, load_expander, load_retriever
from builders.expanders.expander_file import EXPANDER, expander_record
from builders.expanders.formulated import FormulatedQuery, formulate_query
from builders.expanders.trained import QueryExpander
from builders.grading.grader import Grader
from builders.publishing.staging.load import open_staged
from builders.retrievers.formulation import load_formulation
from model_cards.adapter_card import expander_json
from qexpand.__main__ import main
from tests.hub_server.fixtures import hub, run_client
from tests.support.commands import ROOT, command
from tests.support.java import needs_java
from tests.support.tiny_student import base_model, student
from tests.support.word_collection import word_collection


__all__ = ["hub"]

QUERIES = ["sort an array", "merge two frames on a key", "fit a line"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """An adapter as `python -m model_cards` leaves it, and its base model."""
    folder = tmp_path_factory.mktemp("tiny")
    adapter = student(folder, base_model(folder / "base"))
    (adapter / EXPANDER).write_bytes(expander_json(adapter, folder / "results/results.json"))
    return adapter


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return load_collection(str(word_collection(tmp_path_factory.mktemp("words") / "words", 24)))


def test_importing_the_package_draws_nothing_in():
    program = "import sys, builders; print([m for m in sys.modules if m.startswith(('builders.', 'torch', 'numpy'))])"
    assert command("-c", program).stdout.strip() == "[]"
    assert {"load_expander", "load_collection", "load_retriever", "evaluate"} <= set(dir(builders))
    assert "expander.expand(" in builders.load_expander.__doc__
    with pytest.raises(AttributeError, match="no attribute 'load_expanders'"):
        _ = builders.load_expanders


def test_the_lines_of_the_readme_print_words_and_rankings_to_read(tiny, tmp_path, capsys):
    page = (ROOT / "README.md").read_text()
    lines = re.search(r"```python\n(from builders import .*?)```", page, re.DOTALL)[1]
    assert '"out/demo/models/dpo"' in lines and '"pydocs"' in lines
    folder = word_collection(tmp_path / "words", 24)
    exec(lines.replace("out/demo/models/dpo", str(tiny)).replace('"pydocs"', repr(str(folder))), {})
    printed = capsys.readouterr().out
    assert "object at 0x" not in printed and " → " in printed


def test_a_ranking_says_which_documents_it_holds(words):
    found, none = load_retriever("bm25s", words).search([next(iter(words.documents)).text, "nowhere"], 100)
    assert len(found) > 10 and repr(found) == f"Hits({len(found)} documents, {', '.join(found.document_ids[:10])}, …)"
    assert repr(none) == "Hits(0 documents)"


def test_what_the_hub_does_not_give_is_one_line_without_the_clients_traceback(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(KitError, match="'you/my-expander' cannot be had from the Hub") as caught:
        load_expander("you/my-expander")
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_an_adapter_expands_as_it_was_measured(tiny):
    expander = load_expander(str(tiny))
    assert (expander.name, expander.prompt.id, expander.max_new_tokens, expander.formulation) == (
        *("sft", "tiny-prompt", 24),
        "q*5+e",
    )
    together = expander.expand_many(QUERIES)
    assert together == [expander.expand(query) for query in QUERIES] and any(together)
    assert together == expander.expand_many(QUERIES, batch_size=1)
    formulated = expander.formulate(QUERIES[0])
    assert formulated.expansion == together[0]
    assert expander.formulate(QUERIES[0], "by key").text == " ".join([*[QUERIES[0]] * 5, "by key"])
    assert load_expander(str(tiny), max_new_tokens=2).expand(QUERIES[0]) != together[0]
    with pytest.raises(KitError, match="the query is empty"):
        expander.expand(" ")


def test_expander_json_says_all_that_an_adapter_needs_and_is_published(tiny):
    record = json.loads((tiny / EXPANDER).read_text())
    assert record["prompt"]["user"] == "Question: {query}" and len(record["prompt"]["sha256"]) == 64
    assert record["decoding"] == {"do_sample": False, "dtype": "float32", "max_new_tokens": 24}
    assert record["formulation"] == "q*5+e" and record["context"] is None
    assert EXPANDER in open_staged(tiny).files


def test_an_older_adapter_is_asked_by_the_record_of_its_training(tiny, tmp_path):
    older = tmp_path / "older"
    older.mkdir()
    for path in tiny.iterdir():
        if path.name != EXPANDER:
            (older / path.name).symlink_to(path)
    with pytest.raises(KitError, match="the prompt of its training is not here: give prompt="):
        load_expander(str(older))
    assert load_expander(str(older), prompt="keywords-zero-shot").prompt.id == "keywords-zero-shot"
    training = json.loads((tiny / "training.json").read_text())
    data = training["data"]["expansions"]
    data["settings"]["prompts"] = [str(tiny.parent / "tiny-prompt.yaml")]
    assert expander_record(training)["decoding"]["max_new_tokens"] == 32
    (older / "training.json").unlink()
    (older / "training.json").write_text(json.dumps(training))
    assert load_expander(str(older)).prompt.id == "tiny-prompt"


def test_a_published_adapter_is_loaded_by_its_hub_id(tiny, hub):
    files = {path.name: path.read_bytes() for path in tiny.iterdir() if path.is_file()}
    hub.create_repo("model", "kit-owner/tiny-expander").commit(files)
    script = """
        from builders import load_expander
        expander = load_expander("kit-owner/tiny-expander", model=base)
        result = [expander.name, expander.model.identity.adapter, expander.expand("fit a line")]
    """
    found = run_client(hub, script, base=str(tiny.parent / "base"))
    assert found == ["tiny-expander", "kit-owner/tiny-expander", load_expander(str(tiny)).expand("fit a line")]


@pytest.mark.parametrize("name", ["nowhere", "./nowhere/at/all", "package:llama"])
def test_what_is_no_expander_is_refused_in_one_line(name):
    with pytest.raises(KitError, match="give the Hub id|unknown model package") as caught:
        load_expander(name)
    assert "\n" not in str(caught.value)


def test_a_prompt_that_shows_part_of_a_collection_is_given_it(tiny, words):
    with pytest.raises(KitError, match="give load_expander"):
        load_expander(str(tiny), prompt="keywords-passages-zero-shot").expand("how to sort")
    expander = load_expander(str(tiny), prompt="keywords-passages-zero-shot", collection=words)
    seen = []
    expander.model.expand = lambda requests, sampling: (seen.extend(requests), iter(()))[1]
    query = words.split("train")[0]
    with pytest.raises(KeyError):
        expander.expand(query.text)
    assert query.text in seen[0].messages[-1]["content"] and "page" in seen[0].messages[-1]["content"]


def test_evaluate_agrees_with_the_grader(tiny, words):
    expander, retriever = load_expander(str(tiny)), load_retriever("bm25s", words)
    table = evaluate(expander, words, retriever, split="train")
    assert [row["system"] for row in table.rows] == ["plain", "sft"]
    queries = words.split("train")
    grader = Grader(words, retriever, load_formulation("q*5+e"))
    texts = expander.expand_queries(queries, words)
    grades = grader.expanded([(query.id, text) for query, text in zip(queries, texts, strict=True)])
    assert table.rows[1]["ndcg_at_10"] == pytest.approx(sum(grade.ndcg_at_10 for grade in grades) / len(grades))
    assert {"helped", "hurt", "p_value", "delta_ci95"} <= set(table.rows[1])
    assert "| sft | " in str(table) and "24 train queries of words" in str(table)
    assert list(table.to_pandas()["system"]) == ["plain", "sft"] and len(table.per_query) == 48
    with pytest.raises(KitError, match="no judged test queries"):
        evaluate(expander, words, retriever)


def test_a_formulated_query_says_the_same_in_every_form():
    formulated = FormulatedQuery("sort a frame?", "sort_values (by) AND", 3)
    assert formulated.text == "sort a frame? sort a frame? sort a frame? sort_values (by) AND"
    assert formulated.lucene == r"(sort a frame\?)^3 sort_values \(by\) \AND"
    assert formulated.terms[:4] == [("sort", 3), ("a", 3), ("frame?", 3), ("sort_values", 1)]
    plain = FormulatedQuery("sort < frame", " ")
    assert (plain.text, plain.lucene, plain.terms[0]) == ("sort < frame", "sort frame", ("sort", 1))
    with pytest.raises(KitError, match="is no text that any engine takes"):
        formulate_query("a", "b", "mean")


@needs_java
@pytest.mark.java
def test_lucene_ranks_every_form_as_the_kit_does():
    """Through Lucene's own query parser, and as a query of weighted terms, over the index that the kit made."""
    from builders.retrievers.pyserini_index import PyseriniRetriever, _analyzer

    collection = load_collection("pydocs")
    retriever = PyseriniRetriever(collection)
    from jnius import autoclass
    from pyserini.search.lucene import querybuilder

    parser = autoclass("org.apache.lucene.queryparser.classic.QueryParser")("contents", _analyzer("en"))
    by_id = {document.id: document.text for document in collection.documents}

    def weighted(terms):
        built = querybuilder.get_boolean_query_builder()
        for word, weight in terms:
            for term in retriever.terms(word):
                query = querybuilder.JTermQuery(querybuilder.JTerm("contents", term))
                should = querybuilder.JBooleanClauseOccur["should"].value
                built.add(querybuilder.get_boost_query(query, weight), should)
        return built.build()

    for query in collection.split("test")[::40]:
        # Words of a page, with all that a query language could trip over.
        page = " ".join(by_id[min(collection.gold(query.id))].split()[:12])
        expansion = f'{page} np.dot(a, b): [x] AND "y" && z* ~1 a/b NOT -w'
        formulated = formulate_query(query.text, expansion, "q*5+e")
        (wanted,) = load_formulation("q*5+e").search(retriever, [(query.text, (expansion,))], 10)
        assert [hit.document_id for hit in retriever.search([formulated.text], 10)[0]] == [
            h.document_id for h in wanted
        ]
        for asked in (parser.parse(formulated.lucene), weighted(formulated.terms)):
            found = retriever._searcher.search(asked, k=10)
            assert [hit.docid for hit in found] == [hit.document_id for hit in wanted], formulated.lucene
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in wanted], rel=1e-4)


def test_the_command_expands_one_query_or_a_file(tiny, tmp_path, monkeypatch, capsys):
    def run(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["qexpand", "expand", *arguments])
        main()
        return capsys.readouterr().out.splitlines()

    expander = load_expander(str(tiny))
    assert run(str(tiny), QUERIES[0]) == [expander.expand(QUERIES[0])]
    (tmp_path / "queries.txt").write_text("\n".join(QUERIES) + "\n")
    formulated = [expander.formulate(query) for query in QUERIES]
    asked = (str(tiny), "--file", str(tmp_path / "queries.txt"), "--formulate")
    assert run(*asked, "text") == [one.text for one in formulated]
    assert run(*asked, "lucene") == [one.lucene for one in formulated]
    assert [json.loads(line) for line in run(*asked, "terms")] == [list(map(list, one.terms)) for one in formulated]
    for wrong, message in (
        ([str(tiny)], "give one query, or --file"),
        ([str(tiny), "x", "--formulate", "sql"], "unknown --formulate 'sql'"),
        ([str(tiny), "--file", "nowhere.txt"], "--file nowhere.txt: no such file"),
    ):
        with pytest.raises(KitError, match=message):
            run(*wrong)
    monkeypatch.setattr(QueryExpander, "expand_many", lambda self, queries, size: ["", "words"][: len(queries)])
    two = ("--file", str(tmp_path / "queries.txt"))
    (tmp_path / "queries.txt").write_text("\n".join(QUERIES[:2]))
    for words, said in (([QUERIES[0]], "the query as it is"), (two, "1 of 2 queries as they are")):
        monkeypatch.setattr(sys, "argv", ["qexpand", "expand", str(tiny), *words])
        main()
        assert capsys.readouterr().err.endswith(f"(no words: search {said})\n")
    monkeypatch.setattr(sys, "argv", ["qexpand"])
    main()
    assert capsys.readouterr().out.startswith("usage: qexpand <command>")


@pytest.mark.slow
def test_a_wheel_in_a_fresh_environment_runs_the_lines_of_docs_and_card(tiny, words, tmp_path):
    """Installed from the wheel, far from the checkout; the libraries are those of this environment."""
    done = command("-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert command("-m", "venv", "--without-pip", tmp_path / "venv").returncode == 0
    (site,) = (tmp_path / "venv").glob("lib/*/site-packages")
    # Behind what is installed there: the checkout, which an editable install names by a .pth of its own, is not seen.
    (site / "libraries.pth").write_text(f"{next(path for path in sys.path if path.endswith('site-packages'))}\n")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    done = command("-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel)
    assert done.returncode == 0, done.stderr
    python, elsewhere = tmp_path / "venv/bin/python", tmp_path / "elsewhere"
    elsewhere.mkdir()
    qrels = word_collection(elsewhere / "my-collection", 24) / "qrels"
    (qrels / "train.tsv").rename(qrels / "test.tsv")
    card = (tiny / "README.md").read_text()
    first = re.search(r"```python\n(from builders import load_expander.*?)```", card, re.DOTALL)[1]
    page = re.search(r"```python\n(.*?)```", (ROOT / "docs/expanders.md").read_text(), re.DOTALL)[1]
    page = page.replace("you/my-expander", str(tiny))
    lines = f"""
import builders
assert {str(site)!r} in builders.__file__, builders.__file__
{first}
{page}"""
    (elsewhere / "lines.py").write_text(lines)
    done = subprocess.run([python, "lines.py"], cwd=elsewhere, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith(" ".join(["what is 12?"] * 5)) and "| sft | " in done.stdout
    script = f"import sys; sys.argv = ['qexpand', 'expand', {str(tiny)!r}, 'fit a line']\n"
    script += "from qexpand.__main__ import console; console()"
    done = subprocess.run([python, "-c", script], cwd=elsewhere, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stdout.strip() == load_expander(str(tiny)).expand("fit a line")
    script = "import sys; sys.argv = ['qexpand', '--help']; from qexpand.__main__ import console; console()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([python, "-c", script], cwd=elsewhere, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("usage: qexpand <command>"), done.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1
