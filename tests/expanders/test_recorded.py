"""Recorded expansions: every form they come in, what is wrong with them, and the expanders that need no model."""

import gzip
import json
from collections import Counter

import pytest

from builders.artifacts.dataset_folder import read_build, read_rows
from builders.commands.expansions import main as make_expansions
from builders.errors import KitError
from builders.expanders.expander import Request, Sampling, estimated_tokens, joint_identity
from builders.expanders.none import NoExpander
from builders.expanders.recorded_expander import RecordedOptions, read_recording
from builders.expanders.recordings import parse_where, read_recorded
from builders.prompts.load import load_prompt
from tests.support.collection_folders import jsonl, write


SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=0, max_new_tokens=16, seed=3)
ROWS = [
    {
        "query_id": "a",
        "expansion": "first – naïve\u2028text",
        "method": "q2d",
        "mode": "zs",
        "model": "m/big",
        "t": 0.7,
    },
    {"query_id": "a", "expansion": "", "method": "q2d", "mode": "fs", "model": "m/big", "t": None},
    {"query_id": 7, "expansion": "other", "method": "q2d", "mode": "zs", "model": "m/big", "t": 1},
]


def file(folder, rows, name="teacher.jsonl"):
    path = folder / name
    data = jsonl(rows).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return str(path)


@pytest.mark.parametrize("name", ["teacher.jsonl", "teacher.jsonl.gz"])
@pytest.mark.parametrize("id_field", ["query_id", "qid", "_id"])
@pytest.mark.parametrize("text_field", ["expansion", "candidate", "text"])
def test_every_form_reads_alike(tmp_path, name, id_field, text_field):
    renamed = [{id_field: row["query_id"], text_field: row["expansion"], "model": row["model"]} for row in ROWS]
    rows = read_recorded(file(tmp_path, renamed, name), {})
    assert [(row.query_id, row.text) for row in rows] == [("a", "first – naïve\u2028text"), ("a", ""), ("7", "other")]
    assert rows[0].attributes == {"model": "m/big"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.tsv", "a\tfirst – text\n7\t\n"),
        ("pairs.txt", "a\tfirst – text\n7\t\n"),
        ("named.tsv", "qid\tmodel\texpansion\na\tm\tfirst – text\n7\tm\t\n"),
        ("named.csv", "query_id,expansion\na,first – text\n7,\n"),
    ],
)
def test_tables(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    rows = read_recorded(str(tmp_path / name), {})
    assert [(row.query_id, row.text) for row in rows] == [("a", "first – text"), ("7", "")]


def test_a_text_under_another_name_is_asked_for(tmp_path):
    source = file(tmp_path, [{"query_id": "a", "query": "x", "pseudo_doc": "text"}])
    with pytest.raises(KitError, match=r"it has 'query_id', 'query', 'pseudo_doc'; name the field .* --text_fields"):
        read_recorded(source, {})
    assert read_recorded(source, {}, ["pseudo_doc"])[0].text == "text"


def test_filters_compare_strings_as_they_are_and_the_rest_as_json(tmp_path):
    source = file(tmp_path, ROWS)
    assert [row.text for row in read_recorded(source, {"method": "q2d", "mode": "fs"})] == [""]
    assert [row.query_id for row in read_recorded(source, {"t": "1"})] == ["7"]
    assert [row.text for row in read_recorded(source, {"t": "null"})] == [""]
    assert [row.text for row in read_recorded(source, {"mode": "zs|fs", "t": "1|null"})] == ["", "other"]
    assert parse_where(["method=q2d", "note=a=b"]) == {"method": "q2d", "note": "a=b"}


def test_several_fields_make_one_text(tmp_path):
    rows = [{"_id": "1", "answers": "x", "sentences": "It is x.", "question": "?"}]
    (row,) = read_recorded(file(tmp_path, rows), {}, ["answers", "sentences"])
    assert row.text == "x It is x." and row.attributes == {"question": "?"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"query_id": "a", "expansion": "x"}\n{"query_id": "b"}\n', "row 2: field 'expansion' or 'candidate'"),
        (b'{"expansion": "x"}\n', "row 1: field 'query_id' or 'qid' or '_id' is missing; it has 'expansion'"),
        (b'{"qid": null, "expansion": "x"}\n', "row 1: field 'qid' must be a query id, not None"),
        (b'{"qid": "a", "expansion": null}\n', "row 1: field 'expansion' must be text, not null"),
        (b'{"qid": "a", "expansion": "x"\n', "row 1: not valid JSON"),
        (b'["a", "x"]\n', "row 1: not a JSON object"),
        (b'{"qid": "a", "expansion": "\xe9"}\n', "not UTF-8"),
        (b"\n\n", "no expansions in it"),
        (gzip.compress(jsonl(ROWS).encode())[:-9], "gzip data cut off"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_row(tmp_path, content, message):
    path = tmp_path / ("teacher.jsonl.gz" if content.startswith(b"\x1f") else "teacher.jsonl")
    path.write_bytes(content)
    with pytest.raises(KitError) as refusal:
        read_recorded(str(path), {})
    assert message in str(refusal.value) and str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (["mode=cot"], "no row with mode=cot; it has fs, zs"),
        (["style=cot"], "no row with style=cot; its fields are method, mode, model, t"),
        (["mode"], "give field=value"),
        (["mode=zs", "mode=fs"], "mode stands twice"),
    ],
)
def test_filters_that_find_nothing_name_what_there_is(tmp_path, filters, message):
    with pytest.raises(KitError, match=message):
        read_recorded(file(tmp_path, ROWS), parse_where(filters))


def test_an_unknown_source_is_refused(tmp_path):
    with pytest.raises(KitError, match="no such file or folder, and not a Hub id"):
        read_recorded(str(tmp_path / "nothing"), {})
    with pytest.raises(KitError, match="no such dataset folder|is missing or broken"):
        read_recorded(str(tmp_path), {})


def test_conditions_become_prompts_and_one_teacher_their_identity(tmp_path):
    student = load_prompt("web-passage-zero-shot")
    options = RecordedOptions(recorded=file(tmp_path, ROWS))
    (few, few_rows), (zero, zero_rows) = read_recording(options, student)
    assert (few.id, few.condition, zero.id, zero.condition) == ("q2d-fs", "few-shot", "q2d-zs", "zero-shot")
    assert few.check == student.check and few.exemplars == 0
    for expander in (few_rows, zero_rows):
        assert (expander.identity.model_id, expander.identity.provider) == ("m/big", "recorded")
        assert expander.sampled(SAMPLING) is None and expander.free
    requests = [Request(name, (), 3) for name in ("a", "7", "unknown")]
    answers = dict(zero_rows.expand(requests, SAMPLING, done={"7"}))
    assert [one.text for one in answers["a"]] == ["first – naïve\u2028text"] and answers["unknown"] == []
    assert answers["a"][0].completion_tokens == estimated_tokens("first – naïve\u2028text") == 6
    assert [one.text for one in dict(few_rows.expand(requests, SAMPLING))["a"]] == [""]


def test_a_dataset_has_one_teacher_with_a_name(tmp_path):
    student = load_prompt("web-passage-zero-shot")
    several = [*ROWS, {**ROWS[0], "model": "m/small"}]
    with pytest.raises(KitError, match="one teacher, and this is of m/big, m/small: choose with --where"):
        read_recording(RecordedOptions(recorded=file(tmp_path, several)), student)
    (_, chosen), *_ = read_recording(
        RecordedOptions(recorded=file(tmp_path, several), where=["model=m/small"]), student
    )
    assert chosen.identity.model_id == "m/small"
    nameless = [{"qid": "a", "text": "x"}]
    with pytest.raises(KitError, match="no field says which model wrote it"):
        read_recording(RecordedOptions(recorded=file(tmp_path, nameless)), student)
    ((prompt, named),) = read_recording(
        RecordedOptions(recorded=file(tmp_path, nameless), recorded_model="m/big"), student
    )
    assert (prompt.id, prompt.condition, named.identity.model_id) == ("recorded", "zero-shot", "m/big")
    with pytest.raises(KitError, match="needs --recorded"):
        read_recording(RecordedOptions(), student)


def test_several_models_are_one_pool_when_that_is_asked_for(tmp_path):
    several = [*ROWS, {**ROWS[0], "model": "m/small", "expansion": "theirs"}]
    options = RecordedOptions(recorded=file(tmp_path, several), pool_models=True)
    pool = read_recording(options, load_prompt("web-passage-zero-shot"))
    assert [(prompt.id, expander.identity.model_id) for prompt, expander in pool] == [
        ("q2d-fs-big", "m/big"),
        ("q2d-zs-big", "m/big"),
        ("q2d-zs-small", "m/small"),
    ]
    requests = [Request("a", (), 1)]
    assert [one.text for one in dict(pool[2][1].expand(requests, SAMPLING))["a"]] == ["theirs"]
    joint = joint_identity([expander.identity for _, expander in pool])
    assert joint.model_id == "m/big and m/small" and joint.provider == "recorded" and joint.adapter is None
    assert joint_identity([pool[0][1].identity] * 2) == pool[0][1].identity


@pytest.fixture
def collection(tmp_path):
    """Eight documents and as many train queries; q0 to q5 have two recorded expansions, good and bad."""
    files = {
        "corpus.jsonl": jsonl({"_id": f"d{n}", "title": "", "text": f"word{n} page about item{n}"} for n in range(8)),
        "queries.jsonl": jsonl({"_id": f"q{n}", "text": f"please find item{(n + 1) % 8}"} for n in range(8)),
        "qrels/train.tsv": "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\td{n}\t1\n" for n in range(8)),
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\n",
    }
    rows = [
        {"qid": f"q{n}", "expansion": text, "model": "m/big", "temperature": 0.7}
        for n in range(6)
        for text in (f"word{n} " * 30 + "answer", "nothing of the kind at all")
    ]
    return write(tmp_path / "tiny", files), file(tmp_path, rows)


def build(collection, folder, *more):
    make_expansions(
        [
            *("--collection", str(collection), "--prompts", "web-passage-zero-shot", "--num_train", "-1"),
            *("--output_dir", str(folder), *map(str, more)),
        ]
    )


def test_a_dataset_of_recorded_expansions_and_its_recording_in_turn(collection, tmp_path):
    folder, recorded = collection
    build(folder, tmp_path / "first", "--expander", "recorded", "--recorded", recorded)
    first = read_rows(tmp_path / "first", "raw", "train")
    assert {row["query_id"] for row in first} == {f"q{n}" for n in range(6)} and len(first) == 12
    assert {(row["provider"], row["model_id"], row["temperature"], row["seed"]) for row in first} == {
        ("recorded", "m/big", None, None)
    }
    good = [row for row in first if row["sample"] == 0]
    assert all(row["ndcg_at_10"] > row["plain_ndcg_at_10"] for row in good)
    assert read_build(tmp_path / "first")["sampling"] is None
    card = (tmp_path / "first/README.md").read_text()
    assert "| sampling | not recorded |" in card and "run by: recorded" in card

    build(folder, tmp_path / "second", "--expander", "recorded", "--recorded", tmp_path / "first", "--samples", "1")
    second = read_rows(tmp_path / "second", "raw", "train")
    assert sorted(row["candidate"] for row in second) == sorted(row["candidate"] for row in good)
    assert {row["prompt_id"] for row in second} == {"recorded"}
    assert [row["completion_tokens"] for row in second] == [row["completion_tokens"] for row in good]

    with pytest.raises(KitError, match="as far as it is recorded.* has 6 judged train queries, not 7"):
        build(folder, tmp_path / "third", "--expander", "recorded", "--recorded", recorded, "--num_train", "7")


def test_a_pool_names_the_writer_of_every_candidate(collection, tmp_path):
    folder, recorded = collection
    with open(recorded) as lines:
        rows = [json.loads(line) for line in lines]
    both = file(tmp_path, [*rows, *({**row, "model": "m/small"} for row in rows)], "both.jsonl")
    build(folder, tmp_path / "pool", "--expander", "recorded", "--recorded", both, "--pool_models", "true")
    written = read_rows(tmp_path / "pool", "raw", "train")
    assert Counter(row["model_id"] for row in written) == {"m/big": 12, "m/small": 12}
    assert {(row["prompt_id"], row["model_id"]) for row in written} == {
        ("recorded-big", "m/big"),
        ("recorded-small", "m/small"),
    }
    assert "`m/big and m/small`" in (tmp_path / "pool/README.md").read_text()


def test_no_expansion_is_the_plain_query(collection, tmp_path):
    build(collection[0], tmp_path / "none", "--expander", "none")
    rows = read_rows(tmp_path / "none", "raw", "train")
    assert len(rows) == 8 and {row["candidate"] for row in rows} == {""}
    assert all(row["ndcg_at_10"] == row["plain_ndcg_at_10"] for row in rows)
    assert read_build(tmp_path / "none")["rows"] == {"raw": {"train": 8}}
    assert dict(NoExpander().expand([Request("a", (), 4)], SAMPLING, done=["a"])) == {}


def test_the_recorded_teachers_load_as_they_are(shared_data):
    folder = shared_data / "recorded-expansions"
    for name, rows, empty in (("dl19", 860, 2), ("dl20", 1226, 1), ("scifact", 6000, 106)):
        recorded = read_recorded(str(folder / f"{name}.jsonl.gz"), {})
        with gzip.open(folder / f"{name}.jsonl.gz", "rt") as lines:
            assert sum(not json.loads(line)["expansion"] for line in lines) == empty
        assert len(recorded) == rows and sum(not row.text for row in recorded) == empty, name
        where = {"method": "query2doc", "model": "Qwen/Qwen2.5-72B-Instruct"}
        modes = Counter(row.attributes["mode"] for row in read_recorded(str(folder / f"{name}.jsonl.gz"), where))
        assert set(modes) == {"zs", "fs", "cot"} and len(set(modes.values())) == 1
    gar = read_recorded(str(folder / "nq.test.gar-t5.jsonl.gz"), {}, ["answers", "sentences", "titles"])
    assert len(gar) == 3610 and gar[0].text.startswith("Wilhelm Conrad Röntgen The first Nobel Prize")
