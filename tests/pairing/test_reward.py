"""ExpandR's reward by hand: ranks, ties, the filter, weights, and what the command does with them.

Vectors are known: a text begins with its two components.
"""

import json

import numpy as np
import pytest
from huggingface_hub import HfApi

from builders.artifacts.dataset_folder import read_build, read_rows
from builders.artifacts.files import file_hash
from builders.artifacts.render import render_dataset
from builders.commands.expansions import main as make_expansions
from builders.commands.preferences import main as make_preferences
from builders.commands.references import main as make_references
from builders.errors import KitError
from builders.pairing.expandr_reward import ExpandrReward, RewardOptions
from builders.pairing.load import load_rule, own_options
from builders.pairing.pairing import Pairing, PairStatistics
from builders.pairing.text_vectors import TextVectors
from tests.support.collection_folders import jsonl, write
from tests.support.rendered_folders import VERSION


class KnownVectors:
    """What an encoder is asked, and the vectors that stand in the texts."""

    def __init__(self, name="known", turn=0.0):
        self.model_id, self.revision, self.fingerprint = name, "1", f"{name}-{turn}"
        self.asked = []
        self._turn = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def encode_passages(self, texts):
        self.asked += texts
        return np.array([self._vector(text) for text in texts], dtype=np.float32)

    def _vector(self, text):
        return [float(number) for number in text.split()[:2]]


class Mirrored(KnownVectors):
    """Another encoder: what pointed one way points the other for texts that say so."""

    def _vector(self, text):
        x, y = super()._vector(text)
        return [-x, y] if text.startswith("-") or "first" in text else [x, y]


def candidate(number, text, rank=5, tokens=10):
    return {
        "query_id": "q",
        "query": "asked",
        "candidate_id": f"q#{number}",
        "candidate": text,
        "gold_rank": rank,
        "completion_tokens": tokens,
        "check": "ok",
        "ndcg_at_10": 0.0,
    }


def reward(texts, gold="1 0 gold", answer="0.6 0.8 answer", **changes):
    vectors = TextVectors(KnownVectors(), [*texts, gold, answer])
    return rewards(vectors, {"q": gold}, {"q": answer}, **changes)


def rewards(vectors, gold, answers, **changes):
    """The rule, once it has looked everything up."""
    rule = ExpandrReward()
    rule.options, rule.vectors, rule.gold, rule.answers = RewardOptions(**changes), vectors, gold, answers
    return rule


def scores(texts, ranks=None, **changes):
    rows = [candidate(n, text, (ranks or [5] * len(texts))[n]) for n, text in enumerate(texts)]
    return reward(texts, **changes).scores(rows)


# By similarity to (1, 0): 1st to 4th. To (0.6, 0.8), with 0.6, 0.96, 0.8 and -0.6: 3rd, 1st, 2nd, 4th.
FOUR = ["1 0 a", "0.8 0.6 b", "0 1 c", "-1 0 d"]


def test_the_reward_by_hand():
    assert scores(FOUR) == pytest.approx([1 + 1 / 3, 1 / 2 + 1, 1 / 3 + 1 / 2, 1 / 4 + 1 / 4])
    assert scores(FOUR[::-1]) == pytest.approx([1 / 2, 5 / 6, 3 / 2, 4 / 3]), "whatever order they come in"


def test_each_weight_weighs_its_own_term():
    assert scores(FOUR, effectiveness_weight=2.0, consistency_weight=0.5) == pytest.approx(
        [2 + 0.5 / 3, 1 + 0.5, 2 / 3 + 0.5 / 2, 0.5 + 0.5 / 4]
    )
    assert scores(FOUR, consistency_weight=0.0) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert scores(FOUR, effectiveness_weight=0.0) == pytest.approx([1 / 3, 1, 1 / 2, 1 / 4])


def test_corpus_rank_takes_the_rank_that_was_graded():
    assert scores(FOUR, [101, 4, 1, 2], effectiveness="corpus-rank") == pytest.approx(
        [1 / 101 + 1 / 3, 1 / 4 + 1, 1 + 1 / 2, 1 / 2 + 1 / 4]
    )


def test_equal_cosines_share_the_better_rank():
    """(0.8, ±0.6) are equally like (1, 0), and so are two texts of one vector."""
    texts = ["0.8 0.6 a", "0.8 -0.6 b", "0.6 0.8 c", "0.6 0.8 d", "0 1 e"]
    assert scores(texts, consistency_weight=0.0) == pytest.approx([1, 1, 1 / 3, 1 / 3, 1 / 5])
    # The last bits of a cosine depend on which texts were encoded together.
    texts = ["0.8 0.6 a", f"{0.8 + 3e-8} 0.6 b", "0 1 c"]
    assert scores(texts, consistency_weight=0.0) == pytest.approx([1, 1, 1 / 3])


def pairs(rule, rows, margin=0.0):
    counts = PairStatistics()
    found = Pairing(rule, margin, 3.0, 1).pairs(rows, counts)
    return [(pair.chosen["candidate_id"], pair.rejected["candidate_id"]) for pair in found], counts


def test_the_pair_is_the_best_and_the_worst():
    rows = [candidate(number, text) for number, text in enumerate(FOUR)]
    assert pairs(reward(FOUR), rows)[0] == [("q#1", "q#3")]
    assert pairs(reward(FOUR), rows, margin=1.0)[0] == [("q#1", "q#3")]
    found, counts = pairs(reward(FOUR), rows, margin=1.01)
    assert found == [] and counts.dropped_queries == {"margin too small": 1}


def test_equal_rewards_are_parted_by_the_gold_documents_rank():
    """Candidates at 10°, 30°, 50° and 170°, the gold document at 0°, the answer at 60°."""
    angles = {"a": 10, "b": 30, "c": 50, "d": 170}
    texts = [f"{np.cos(np.radians(angle))} {np.sin(np.radians(angle))} {name}" for name, angle in angles.items()]
    rule = reward(texts, answer=f"{np.cos(np.radians(60))} {np.sin(np.radians(60))} answer")
    rows = [candidate(n, text, rank) for n, (text, rank) in enumerate(zip(texts, (9, 1, 2, 7), strict=True))]
    assert rule.scores(rows) == pytest.approx([1 + 1 / 3, 1, 1 / 3 + 1, 1 / 2])
    assert pairs(rule, rows)[0] == [("q#2", "q#3")]


def test_a_query_whose_candidates_all_fall_below_is_dropped():
    """With the answer at (0, -1) the sums are 0.5 - 0.87, 0 - 1 and -1 + 0; at (0.6, 0.8) the first has 0.5 + 0.99."""
    texts = ["0.5 0.8660254 a", "0 1 b", "-1 0 c"]
    rows = [candidate(number, text) for number, text in enumerate(texts)]
    found, counts = pairs(reward(texts, answer="0 -1 x"), rows)
    reason = "no candidate agrees by 0.6 with gold document and self-reference answer"
    assert found == [] and counts.dropped_queries == {reason: 1}
    assert pairs(reward(texts), rows)[0] == [("q#0", "q#2")]


def test_what_reaches_the_bound_exactly_is_kept():
    texts = ["0.6 0.8 a", "0 1 b"]
    alone = {"consistency_weight": 0.0}
    assert scores(texts, **alone) == pytest.approx([1, 1 / 2])
    assert isinstance(scores(texts, min_agreement=0.600001, **alone), str)
    # A term of weight 0 counts nothing: with the answer the sum would be 0.6 + 1.
    assert isinstance(scores(texts, min_agreement=0.7, **alone), str)
    assert not isinstance(scores(texts, min_agreement=0.7), str)


def test_the_filter_looks_at_cosines_whatever_the_weights():
    texts = ["0.6 0.8 a", "0 1 b"]
    heavy = scores(texts, effectiveness_weight=100.0, consistency_weight=100.0, min_agreement=1.7)
    assert isinstance(heavy, str), "0.6 + 1 is below 1.7, and no weight makes it more"


def test_without_a_valid_answer_the_query_is_dropped():
    rows = [candidate(number, text) for number, text in enumerate(FOUR)]
    rule = reward(FOUR)
    rule.answers = {}
    assert pairs(rule, rows)[1].dropped_queries == {"no self-reference answer": 1}
    rule.answers = {"q": None}
    assert pairs(rule, rows)[1].dropped_queries == {"self-reference answer failed its check": 1}
    rule.options.consistency_weight = 0.0
    assert pairs(rule, rows)[0] == [("q#0", "q#3")], "nobody asks for it"


def test_every_text_is_encoded_once_for_any_number_of_margins():
    encoder = KnownVectors()
    texts = [*FOUR, *FOUR, "1 0 gold", "0.6 0.8 answer", "1 0 gold"]
    vectors = TextVectors(encoder, texts)
    rule = rewards(vectors, {"q": "1 0 gold"}, {"q": "0.6 0.8 answer"})
    rows = [candidate(number, text) for number, text in enumerate(FOUR)]
    report = Pairing(rule, 0.0, 3.0, 2).by_margin([rows])
    # Margins 1.0 and 4/3 - 5/6 = 0.5.
    assert [(row["margin"], row["pairs"]) for row in report] == [(0.0, 2), (0.25, 2), (0.5, 2), (1.0, 1)]
    assert sorted(encoder.asked) == sorted(set(texts))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"effectiveness": "both"}, "unknown --effectiveness 'both': give candidate-rank or corpus-rank"),
        ({"effectiveness_weight": -1.0}, "--effectiveness_weight -1.0: give 0 or more"),
        ({"consistency_weight": -0.5}, "--consistency_weight -0.5: give 0 or more"),
        ({"consistency_weight": float("nan")}, "--consistency_weight nan"),
        ({"effectiveness_weight": 0.0, "consistency_weight": 0.0, "references": None}, "are both 0"),
        ({"encoder": None}, "needs --encoder"),
        ({"references": None}, "needs --references"),
        ({"consistency_weight": 0.0}, "--references change nothing with --consistency_weight 0"),
        ({"min_agreement": 2.5}, "--min_agreement 2.5: give a sum of two cosines"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    good = {"encoder": "some/model", "references": "out/references"}
    own_options(load_rule("reward"), [RewardOptions(**good)])
    with pytest.raises(KitError, match=message.replace("(", r"\(")):
        own_options(load_rule("reward"), [RewardOptions(**(good | changes))])
    with pytest.raises(KitError, match="belongs to --rule reward and changes nothing for gold-rank"):
        own_options(load_rule("gold-rank"), [RewardOptions(**(good | changes))])


# Query → what was written to it. The page of each but q1 is at (1, 0), and answers are at (0.6, 0.8).
WRITTEN = {
    "q0": ["1 0 this is the first", "0.8 0.6 this is another one", "0 1 and a lighthouse", "-1 0 the last of them"],
    "q1": ["0.2 -0.2 nothing of that kind", "-0.2 0.2 nor of that kind"],
    "q2": ["1 0 something that was said", "0 1 something else was said"],
    "q3": ["1 0 said in the morning", "0 1 said in the evening"],
    "v0": ["1 0 for the held out", "0.2 0.1 for a lighthouse"],
}
ANSWERS = {
    "q0": "0.6 0.8 the page says so",
    "q1": "0 -1 it says the contrary",
    "q3": "0.6 0.8",
    "v0": "1 0 it is so said",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A collection, its expansions and its references; q2 has no answer, and that of q3 is too short."""
    folder = tmp_path_factory.mktemp("reward")
    names = [*WRITTEN, "t0"]
    splits = {"train": [n for n in names if n[0] == "q"], "dev": ["v0"], "test": ["t0"]}
    head = "query-id\tcorpus-id\tscore\n"
    # The vector stands in the title: what is compared is what is indexed. q0 has a second page, at (0, 1).
    pages = [{"_id": f"d-{n}", "title": "1 0", "text": f"page of {n} lighthouse"} for n in names]
    # A search finds these before the pages, unless it hears of lighthouses.
    pages += [
        {"_id": f"x-{n}-{more}", "title": "", "text": f"{n} {n} other{more}"} for n in names for more in range(3)
    ]
    pages.append({"_id": "d-q0-more", "title": "0 1", "text": "second page of q0"})
    judged = {split: "".join(f"{n}\td-{n}\t1\n" for n in some) for split, some in splits.items()}
    files = {
        "corpus.jsonl": jsonl(pages),
        "queries.jsonl": jsonl({"_id": n, "text": f"where is {n}"} for n in names),
        "qrels/train.tsv": head + judged["train"] + "q0\td-q0-more\t1\n",
        "qrels/dev.tsv": head + judged["dev"],
        "qrels/test.tsv": head + judged["test"],
    }
    write(folder / "tiny", files)
    rows = [
        {"query_id": n, "model": "m/big", "expansion": text, "completion_tokens": 10}
        for n, texts in WRITTEN.items()
        for text in texts
    ]
    (folder / "teacher.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        # As if made by committed code: a release takes no other.
        patch.setattr("builders.artifacts.provenance.code_version", lambda: VERSION)
        make_expansions(
            [
                *("--collection", str(folder / "tiny"), "--prompts", "web-passage-zero-shot", "--samples", "4"),
                *("--expander", "recorded", "--recorded", str(folder / "teacher.jsonl"), "--select", "all"),
                *("--num_train", "-1", "--num_validation", "-1", "--output_dir", str(folder / "expansions")),
            ]
        )
        references(folder, "references", ANSWERS, folder / "expansions")
    return folder


def references(folder, name, answers, expansions):
    rows = [{"query_id": n, "model": "m/big", "expansion": text} for n, text in answers.items()]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_references(
        [
            *("--expansions", str(expansions), "--prompt", "web-passage-self-reference"),
            *("--expander", "recorded", "--recorded", str(folder / f"{name}.jsonl")),
            *("--output_dir", str(folder / name)),
        ]
    )
    return folder / name


@pytest.fixture
def encoders(monkeypatch):
    """Known vectors under any name that an encoder could have."""
    made = {}

    def encoder(name):
        made[name] = (Mirrored if name == "mirrored" else KnownVectors)(name)
        return made[name]

    monkeypatch.setattr("builders.pairing.expandr_reward._encoder", encoder)
    return made


def prefer(world, output, encoder="known", **changes):
    settings = {
        "expansions": world / "expansions",
        "output_dir": output,
        "rule": "reward",
        "encoder": encoder,
        "references": world / "references",
        "min_margin": 0,
        "pairs_per_query": 1,
    } | changes
    given = {name: value for name, value in settings.items() if value is not None}
    make_preferences([str(part) for name, value in given.items() for part in (f"--{name}", value)])
    return read_build(output)


def test_from_graded_candidates_to_pairs(world, tmp_path, encoders):
    build = prefer(world, tmp_path / "pairs")
    (train,), (held_out,) = (read_rows(tmp_path / "pairs", "preference", split) for split in ("train", "validation"))
    assert (train["query_id"], held_out["query_id"]) == ("q0", "v0"), "the split is the queries' own"
    # The text that earned the score is the text that is saved.
    assert train["chosen"][0]["content"] == WRITTEN["q0"][1] and train["rejected"][0]["content"] == WRITTEN["q0"][3]
    assert (train["rule"], train["chosen_score"], train["rejected_score"]) == ("reward(candidate-rank)", 1.5, 0.5)
    assert build["yield"]["train"]["dropped_queries"] == {
        "no candidate agrees by 0.6 with gold document and self-reference answer": 1,
        "no self-reference answer": 1,
        "self-reference answer failed its check": 1,
    }
    assert build["rule"] == "reward(candidate-rank)" and build["reward"] == {
        "encoder": {"model_id": "known", "revision": "1", "fingerprint": "known-0.0"},
        "effectiveness": "candidate-rank",
        "effectiveness_weight": 1.0,
        "consistency_weight": 1.0,
        "min_agreement": 0.6,
    }
    for name in ("expansions", "references"):
        assert build[name]["build_sha256"] == file_hash(world / name / "build.json")
    card = (tmp_path / "pairs/README.md").read_text()
    assert "`known`, revision `1`" in card and "web-passage" in card and "`reward(candidate-rank)`" in card
    asked = encoders["known"].asked
    assert (
        len(asked) == len(set(asked)) and "1 0 page of q0 lighthouse" in asked and "0 1 second page of q0" not in asked
    )


def test_a_release_knows_what_the_pairs_were_made_from(world, tmp_path, encoders, monkeypatch):
    from builders.publishing.release_items import open_items

    monkeypatch.setattr("builders.artifacts.provenance.code_version", lambda: VERSION)
    prefer(world, tmp_path / "pairs")
    folders = [tmp_path / "pairs", world / "references", world / "expansions"]
    parts = open_items([(folder, f"owner/{folder.name}") for folder in folders], HfApi())
    assert [(part.id, [source.id for source in part.sources]) for part in parts] == [
        ("owner/expansions", []),
        ("owner/references", ["owner/expansions"]),
        ("owner/pairs", ["owner/expansions", "owner/references"]),
    ]
    other = references(tmp_path, "other", ANSWERS | {"q2": "0 1 it says that too"}, world / "expansions")
    with pytest.raises(KitError, match=r"pairs: was made from other references than are in the release \(other\)"):
        open_items([(folder, f"owner/{folder.name}") for folder in (folders[0], other, folders[2])], HfApi())


def test_the_same_settings_give_the_same_bytes_and_are_not_made_again(world, tmp_path, encoders, capsys):
    for name in ("one", "two"):
        prefer(world, tmp_path / name)
    one, two = (tmp_path / name / "data/preference" for name in ("one", "two"))
    assert [p.read_bytes() for p in sorted(one.iterdir())] == [p.read_bytes() for p in sorted(two.iterdir())]
    encoders["known"].asked.clear()
    prefer(world, tmp_path / "two")
    assert "up to date" in capsys.readouterr().err and not encoders["known"].asked


def test_every_setting_changes_the_pairs(world, tmp_path, encoders):
    def told(**settings):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        prefer(world, folder, **settings)
        return [
            (row["chosen_id"], row["rejected_id"], row["chosen_score"], row["rejected_score"])
            for split in ("train", "validation")
            for row in read_rows(folder, "preference", split)
        ]

    before = told()
    for changes in (
        {"effectiveness": "corpus-rank"},
        {"effectiveness_weight": 3},
        {"consistency_weight": 3},
        {"consistency_weight": 0, "references": None},
        {"min_agreement": -2},
        {"min_agreement": 1.8},
        {"encoder": "mirrored"},
        {"pairs_per_query": 2},
    ):
        assert told(**changes) != before, changes
    assert told(pairs_per_query=2, min_margin=0.9) == before, "the second pair of q0 is 0.5 apart"


def test_corpus_rank_in_the_pairs_is_the_candidates_own(world, tmp_path, encoders):
    prefer(world, tmp_path / "pairs", effectiveness="corpus-rank", consistency_weight=0, references=None)
    rank_of = {row["candidate_id"]: row["gold_rank"] for row in read_rows(world / "expansions", "raw", "train")}
    for row in read_rows(tmp_path / "pairs", "preference", "train"):
        assert row["chosen_score"] == pytest.approx(1 / rank_of[row["chosen_id"]])


def test_the_gold_document_is_the_one_that_was_shown(world, tmp_path, encoders):
    """Of two pages of the highest grade the references name one; it decides."""
    rows = read_rows(world / "references", "reference", "train")
    other = [row | ({"document_id": "d-q0-more"} if row["query_id"] == "q0" else {}) for row in rows]
    render_dataset(tmp_path / "named", {"reference": {"train": other}}, read_build(world / "references"), {})
    prefer(world, tmp_path / "pairs", references=tmp_path / "named")
    (pair,) = (row for row in read_rows(tmp_path / "pairs", "preference", "train") if row["query_id"] == "q0")
    # By similarity to (0, 1): third, second, first, third; to the answer as before: third, first, second, fourth.
    assert pair["chosen_id"].endswith("#1") or pair["chosen_id"].endswith("#2")
    assert pair["chosen_score"] == pytest.approx(1.5) and pair["rejected_score"] == pytest.approx(1 / 3 + 1 / 4)
    assert "0 1 second page of q0" in encoders["known"].asked


def test_references_of_other_expansions_are_refused(world, tmp_path, encoders):
    few = [row for row in read_rows(world / "references", "reference", "train") if row["query_id"] == "q0"]
    build = read_build(world / "references")
    render_dataset(tmp_path / "few", {"reference": {"train": few}}, build, {})
    with pytest.raises(KitError, match="answers 1 of the 5 queries.*make references for these expansions"):
        prefer(world, tmp_path / "out", references=tmp_path / "few")
    foreign = build | {"collection": build["collection"] | {"fingerprint": "0" * 16, "name": "other"}}
    render_dataset(tmp_path / "foreign", {"reference": {"train": few}}, foreign, {})
    with pytest.raises(KitError, match="answers queries of 'other'"):
        prefer(world, tmp_path / "out", references=tmp_path / "foreign")
    with pytest.raises(KitError, match="holds 'expansions', not 'references'"):
        prefer(world, tmp_path / "out", references=world / "expansions")
    assert not (tmp_path / "out").exists()


def test_expansions_without_a_usable_candidate_are_refused(world, tmp_path, encoders):
    rows = [row | {"check": "empty"} for row in read_rows(world / "expansions", "raw", "train")]
    render_dataset(tmp_path / "none", {"raw": {"train": rows}}, read_build(world / "expansions"), {})
    with pytest.raises(KitError, match="no usable candidate in it"):
        prefer(world, tmp_path / "out", expansions=tmp_path / "none")


def test_another_collection_is_refused(world, tmp_path, encoders):
    import shutil

    shutil.copytree(world / "tiny", tmp_path / "tiny")
    prefer(world, tmp_path / "moved", collection=tmp_path / "tiny")
    with (tmp_path / "tiny/corpus.jsonl").open("a") as corpus:
        corpus.write('{"_id": "d-new", "title": "", "text": "a new page"}\n')
    with pytest.raises(KitError, match="other documents, queries or judgments"):
        prefer(world, tmp_path / "out", collection=tmp_path / "tiny")


def test_other_rules_know_nothing_of_rewards(world, tmp_path):
    make_preferences(
        [
            *("--expansions", str(world / "expansions"), "--output_dir", str(tmp_path / "ndcg")),
            *("--rule", "gold-rank", "--min_margin", "1"),
        ]
    )
    build = read_build(tmp_path / "ndcg")
    assert build["rule"] == "gold-rank" and "reward" not in build and "references" not in build
    assert not {"encoder", "effectiveness", "reward", "references_sha256"} & build["settings"].keys()


@pytest.mark.slow
def test_an_encoder_in_a_folder_measures(world, tmp_path):
    """As a trained retriever lies there."""
    from tests.support.word_encoder import word_encoder

    words = {word for texts in WRITTEN.values() for text in texts for word in text.split()}
    encoder = word_encoder(tmp_path / "trained", sorted(words))
    build = prefer(world, tmp_path / "pairs", encoder=str(encoder), min_agreement=-2)
    assert build["reward"]["encoder"]["model_id"] == "trained"
    assert build["reward"]["encoder"]["revision"] == f"sha256:{build['reward']['encoder']['fingerprint']}"
    from builders.retrievers.encoder import Encoder

    vectors = dict(zip(WRITTEN["q0"], Encoder(str(encoder)).encode_passages(WRITTEN["q0"]), strict=True))
    page, answer = Encoder(str(encoder)).encode_passages(["1 0 page of q0 lighthouse", ANSWERS["q0"]])
    assert np.linalg.norm(page) == pytest.approx(1, abs=1e-5)

    def rank(text, other):
        return 1 + sum(vectors[one] @ other > vectors[text] @ other + 1e-6 for one in vectors)

    rewards = {text: 1 / rank(text, page) + 1 / rank(text, answer) for text in vectors}
    pair = next(row for row in read_rows(tmp_path / "pairs", "preference", "train") if row["query_id"] == "q0")
    assert pair["chosen_score"] == pytest.approx(max(rewards.values()))
    assert pair["rejected_score"] == pytest.approx(min(rewards.values()))
