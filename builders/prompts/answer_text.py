"""Takes out of an answer what is no expansion: what a model thought aloud, labels, and what a token limit cut off."""

import re

from builders.prompts.script import segments


_OPEN = r"<(?:think|thinking|reasoning)>|\[THINK\]"
_CLOSE = r"</(?:think|thinking|reasoning)>|\[/THINK\]"
# Harmony: <|channel|>analysis<|message|>… <|channel|>final<|message|>…, and what is left of it without the marks.
_FINAL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>|assistant\s*final(?=\S)")
_ANALYSIS = re.compile(
    r"\s*((<\|start\|>)?(assistant)?<\|channel\|>\s*(analysis|commentary)\b|analysis(?=[A-Z\u4e00-\u9fff]))"
)
_MARK = re.compile(r"<\|(start|end|return|channel|message|call|constrain)\|>(assistant\b)?")

_LABEL = (
    r"(((correct|final|expanded|sample|hypothetical|generated|relevant|supporting|example)\s+)?"
    r"(answering passage|answer passage|passage|answer|expansion|expanded query|query expansion|rationale|explanation|"
    r"response|reasoning|output|keywords|question|query)|段落|答案|回答|扩展|查询扩展|关键词|理由|解释)"
    r"\s*[*_]*\s*[:：]\s*[*_]*\s*"
)
# At the beginning; further on only in a heading, in bold, or where a sentence has ended.
_FIRST = re.compile(rf"\s*[#*_>\"“-]*\s*{_LABEL}", re.IGNORECASE)
_LATER = re.compile(rf"((?<=\s)(#+ *|\*\*)|(?<=[.!?。！？\"”]\s))(?-i:(?=[A-Z\u4e00-\u9fff])){_LABEL}", re.IGNORECASE)
_BROKEN = "\ufffd"
_LAST_WORD = re.compile(r"\W*[\w'’-]+$")

LABEL, REASONING = "label", "reasoning"


def stripped(text: str) -> tuple[str, list[str]]:
    """An answer without reasoning and labels, and which of the two were in it; else the text as it is."""
    found = []
    kept, thought = split_reasoning(text)
    if thought:
        found.append(REASONING)
    bare = without_labels(kept)
    if bare != kept:
        found.append(LABEL)
    return (bare.strip(), found) if found else (text, [])


def split_reasoning(text: str) -> tuple[str, str]:
    """Text and what was thought aloud, marked by `<think>…</think>` and its kin, or by harmony's channels.

    A chat template may have opened the mark already, and a token limit may keep it from being closed.
    """
    text, aside = _final_channel(text)
    before, thought = text, ""
    closed = list(re.finditer(_CLOSE, text, re.IGNORECASE))
    if closed:
        opened = re.search(_OPEN, text[: closed[-1].start()], re.IGNORECASE)
        start = opened.start() if opened else 0
        before, thought = text[:start] + " " + text[closed[-1].end() :], text[start : closed[-1].end()]
    opened = re.search(_OPEN, before, re.IGNORECASE)
    if opened:
        before, thought = before[: opened.start()], thought + before[opened.start() :]
    return before, aside + thought


def _final_channel(text: str) -> tuple[str, str]:
    """What the final channel says, and what stands before it; all is thought where no channel is final."""
    analysis = _ANALYSIS.match(text)
    if not analysis and "<|channel|>" not in text:
        return text, ""
    final = list(_FINAL.finditer(text))
    if not final:
        return "", text
    return _MARK.sub(" ", text[final[-1].end() :]), text[: final[-1].end()]


def without_labels(text: str) -> str:
    """The text without `Passage:`, `**Correct Answer:**`, `### Rationale:` and their kin."""
    first = _FIRST.match(text)
    while first and first.end():
        text = text[first.end() :]
        first = _FIRST.match(text)
    return _LATER.sub("", text)


def whole_characters(text: str) -> str:
    """The text without the part of a character that a token limit left at its end."""
    return text.rstrip(_BROKEN).rstrip() if text.endswith(_BROKEN) else text


def whole_words(text: str) -> str:
    """A text that was cut off, without its last word, which may be part of one; a single word stays.

    Chinese and Japanese characters are whole words.
    """
    words = segments(text)
    last = _LAST_WORD.search(text)
    if len(words) < 2 or last is None or len(words[-1]) == 1 and words[-1] > "\u2fff":
        return text
    return text[: last.start()].rstrip() or text
