"""QueryGym's prompts in its own wording, asked by the kit's own expanders."""

from pathlib import Path

import pytest

from builders.artifacts.dataset_folder import read_build, read_rows
from builders.commands.expansions import main as make_expansions
from builders.errors import KitError
from builders.prompts.load import load_prompt
from builders.prompts.querygym import PREFIX
from tests.support.inference_server import InferenceServer
from tests.support.word_collection import word_collection


querygym = pytest.importorskip("querygym", reason="pip install 'query-expansion-kit[querygym]'")


def test_the_wording_is_querygyms():
    bank = querygym.PromptBank(Path(querygym.__file__).with_name("prompt_bank.yaml"))
    for name in ("query2doc.zeroshot.v1", "genqr.keywords.v1", "q2e.zs.v1", "keqe.v1"):
        prompt = load_prompt(PREFIX + name)
        assert prompt.messages("how {many} fleas") == [
            {"role": turn["role"], "content": turn["content"].strip()}
            for turn in bank.render(name, query="how {many} fleas")
        ]
        assert (prompt.id, prompt.condition, prompt.language) == (PREFIX + name, "zero-shot", "en")


@pytest.mark.parametrize(
    "name",
    ["lamer.msmarco.v1", "mugi.zeroshot.v1", "mugi.fewshot.v1", "qa_expand.subq.v1", "query2doc.fewshot.v1", "x"],
)
def test_prompts_that_are_more_than_a_prompt_are_refused(name):
    with pytest.raises(KitError, match="unknown prompt .*give one of .*querygym:query2doc.zeroshot.v1") as refusal:
        load_prompt(PREFIX + name)
    assert f", {PREFIX}{name}" not in str(refusal.value)


def test_a_dataset_is_written_with_them(tmp_path):
    names = [PREFIX + "query2doc.zeroshot.v1", PREFIX + "genqr.keywords.v1"]
    with InferenceServer() as server:
        make_expansions(
            [
                *("--collection", str(word_collection(tmp_path / "words", 8)), "--prompts", *names),
                *("--expander", "inference", "--base_url", server.url, "--model", "acme/teacher"),
                *("--num_train", "6", "--samples", "1", "--select", "all", "--output_dir", str(tmp_path / "out")),
            ]
        )
        assert len(server.answered) == 12
    assert {row["prompt_id"] for row in read_rows(tmp_path / "out", "raw", "train")} == set(names)
    assert read_build(tmp_path / "out")["student_prompt"] == names[0]
