"""Takes prompts from the package `querygym`: its families whose prompts need nothing but the query."""

import hashlib
import json
from pathlib import Path
from typing import Any

from builders.errors import KitError
from builders.prompts.output_check import OutputCheck
from builders.prompts.prompt import Prompt


PREFIX = "querygym:"
# What one step of several writes is no expansion.
STEPS = ("qa_expand",)
# The bank says nothing of lengths; passages and keyword lists both lie between.
SHORTEST, LONGEST = 2, 300
# A placeholder that comes out of `str.format` as it went in.
PLACEHOLDER = "{query}"


def querygym_prompt(name: str) -> Prompt:
    """The prompt with this id (`querygym:query2doc.zeroshot.v1`), in its own wording and with the kit's output check.

    Prompts that fetch passages first, answer in several steps or begin the answer themselves belong to QueryGym's own
    methods. Few-shot ones are left out because their examples are test queries of TREC Deep Learning 2019.

    Raises:
        KitError: the package is missing, or the id is none of those.
    """
    try:
        import querygym
        from querygym import PromptBank
    except ImportError as error:
        raise KitError("QueryGym's prompts need querygym: pip install 'query-expansion-kit[querygym]'") from error

    bank = PromptBank(Path(querygym.__file__).with_name("prompt_bank.yaml"))
    specs = {PREFIX + one: bank.get(one) for one in bank.list()}
    made = {one: prompt for one, spec in specs.items() if (prompt := _prompt(one, spec)) is not None}
    if name not in made:
        raise KitError(f"unknown prompt {name!r}: give one of {', '.join(sorted(made))}")
    return made[name]


def _prompt(name: str, spec: Any) -> Prompt | None:
    template = spec.template
    if set(template) - {"system", "user"} or "user" not in template:
        return None
    if spec.method_family in STEPS or "fewshot" in name:
        return None
    try:
        system, user = (template.get(turn, "").format(query=PLACEHOLDER).strip() for turn in ("system", "user"))
    except (KeyError, IndexError):  # It takes more than a query.
        return None
    if PLACEHOLDER not in user:
        return None
    return Prompt(
        id=name,
        version=spec.version,
        language="en",
        condition="zero-shot",
        task=f"QueryGym, {spec.method_family} ({spec.meta.get('license', 'licence not stated')})",
        system=system,
        user=user,
        exemplars=0,
        check=OutputCheck("en", SHORTEST, LONGEST),
        sha256=hashlib.sha256(json.dumps([system, user]).encode()).hexdigest(),
    )
