"""What is no expansion in an answer: reasoning, labels, chatter, and what a token limit cut off."""

import pytest

from builders.expanders.expander import Expansion
from builders.expanders.recorded_expander import recorded_expansion
from builders.expanders.recordings import RecordedExpansion
from builders.prompts.answer_text import stripped, whole_characters, whole_words
from builders.prompts.output_check import OutputCheck


CHANNELS = "<|channel|>analysis<|message|>They ask for zoos.<|end|><|start|>assistant<|channel|>final<|message|>lions"


@pytest.mark.parametrize(
    ("answer", "left", "kinds"),
    [
        ("Passage: lions sleep", "lions sleep", ["label"]),
        ("**Correct Answering Passage:** lions", "lions", ["label"]),
        ("### Rationale: Lions sleep. ### Answer: lions", "Lions sleep. lions", ["label"]),
        ("Lions sleep. Answer: lions", "Lions sleep. lions", ["label"]),
        ("Answer: Passage: lions", "lions", ["label"]),
        ("答案：狮子", "狮子", ["label"]),
        ("<think>They ask for zoos.</think>lions", "lions", ["reasoning"]),
        ("<think>They ask for zoos and", "", ["reasoning"]),
        ("<think>Hm.</think>\n\nExpansion: lions", "lions", ["label", "reasoning"]),
        (f"{CHANNELS}<|return|>", "lions", ["reasoning"]),
        ("analysisThey ask for zoos.assistantfinallions", "lions", ["reasoning"]),
        ("<|channel|>analysis<|message|>They ask", "", ["reasoning"]),
        (" lions  sleep\n", " lions  sleep\n", []),
        ("analysis of variance: an assistant final", "analysis of variance: an assistant final", []),
        ("The answer: lions", "The answer: lions", []),
        ("Active Margin: in finance, the answer is: lions", "Active Margin: in finance, the answer is: lions", []),
    ],
)
def test_labels_and_reasoning_are_taken_out(answer, left, kinds):
    assert (stripped(answer)[0], sorted(stripped(answer)[1])) == (left, kinds)
    assert stripped(left) == (left, []), "a second time takes nothing more"


def test_recorded_answers_are_treated_alike():
    recorded = recorded_expansion(RecordedExpansion("q", "<think>Hm.</think>Passage: lions", {}))
    assert (recorded.text, recorded.stripped) == ("lions", "label+reasoning")
    assert Expansion("Passage: lions", 1, 1, "stop").cleaned().text == "lions"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("To answer the question, one looks at lions", "preamble"),
        ("Based on the provided passage, lions sleep", "preamble"),
        ("Could you provide the text of the query?", "refusal"),
        ("The passage does not contain any lions", "refusal"),
        ("Please provide more details on zoos", "refusal"),
        ("Based on DNA, lions are cats", None),
        ("To answer a call, a lion roars", None),
    ],
)
def test_chatter_is_rejected(answer, reason):
    assert OutputCheck("en", 2, 80).reason(answer, "zoo", "stop") == reason


def test_what_the_token_limit_cut_off():
    """Two of the three bytes of 睡 were written: what is left of it goes, and no half word stays."""
    cut = "狮子睡".encode()[:-1].decode(errors="replace")
    assert cut.endswith("\ufffd") and whole_characters(cut) == "狮子"
    assert whole_words("狮子睡") == "狮子睡"
    assert whole_words("lions sleep for twen") == "lions sleep for"
    assert whole_words("lions sleep for twenty hours.") == "lions sleep for twenty hours."
    assert whole_words("sleep, hal") == "sleep" and whole_words("lio") == "lio"
    assert Expansion("lions sl", 1, 2, "length").whole().text == "lions"
    assert Expansion("lions sl", 1, 2, "stop").whole().text == "lions sl"
