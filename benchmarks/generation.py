"""Speed of local generation: the kit's engines, the kit of an older commit, and a plain loop over `model.generate`.

    python -m benchmarks.generation --before FOLDER    # a worktree of the older commit

Candidates (50 a query) in tokens a second, each system with as many queries as it answers together, and what a token
costs the cores, which depends less on what runs beside; greedy expansions
one query at a time; and for 200 queries, how many greedy expansions are those of transformers in float32, and what
both find. All of SmolLM2-135M-Instruct, from a pip package, on API documentation. Writes results/generation.json.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.support.timing import arguments, at_least, at_most, commit, in_turn, report, rows_of
from builders.collections.load import load_collection
from builders.expanders.checkpoint import EMBEDDED
from builders.expanders.expander import Request, Sampling, greedy
from builders.expanders.local import LocalExpander
from builders.grading.grader import Grader
from builders.prompts.load import load_prompt
from builders.retrievers.formulation import load_formulation
from builders.retrievers.load import load_retriever


COLLECTION, PROMPT, FORMULATION = "pydocs", "api-docs-zero-shot", "q*5+e"
QUERIES, SAMPLES, TOKENS, GREEDY_TOKENS = 200, 50, 20, 10
SAMPLING = Sampling(temperature=1.0, top_p=1.0, top_k=50, max_new_tokens=TOKENS, seed=0)
BEFORE, FLOAT32 = "kit before", "transformers, float32"
Asked = Sequence[Request]
Spent = tuple[float, float, int]


def main() -> None:
    """Measure, and report against the targets."""
    args = arguments(
        __doc__, lambda parser: parser.add_argument("--before", type=Path, help="Checkout of the kit to compare with.")
    )
    # Threads of torch that wait busily take other work's time, and their own: tenfold where cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    runs, queries, alone = (1, 8, 1) if args.quick else (5, QUERIES, 3)
    collection, prompt = load_collection(COLLECTION), load_prompt(PROMPT)
    asked = [Request(query.id, tuple(prompt.messages(query.text)), 1) for query in collection.split("test")[:queries]]
    float32 = Kit(engine="transformers", dtype="float32")
    systems = engines(args, float32)
    ours = next(iter(systems))
    for one in systems.values():
        one.answer(asked[-1:], SAMPLING)  # Kernels are made at the first call.
    worked: dict[str, list[float]] = {name: [] for name in systems}
    many = in_turn({name: rate(one, asked, worked[name]) for name, one in systems.items()}, runs, warm_up=False)
    single = in_turn({name: seconds_each(one, asked, alone) for name, one in systems.items()}, runs, warm_up=False)
    rows = [
        *rows_of(f"{SAMPLES} candidates a query of {TOKENS} tokens", "tokens/s", many),
        *rows_of(f"{SAMPLES} candidates a query of {TOKENS} tokens, all cores together", "ms a token", worked),
        *rows_of(f"greedy, one query of {GREEDY_TOKENS} tokens at a time", "s", single),
        *agreement(systems | {FLOAT32: float32}, asked, collection),
    ]
    ratio = {(row["what"], row["system"]): row["ratio_to_ours"] for row in rows}
    candidates, one_greedy = rows[0]["what"], rows[2 * len(systems)]
    targets = [at_most(f"{ours}: {one_greedy['what']}", 0.4, one_greedy["median"])]
    if BEFORE in systems:
        targets += [
            at_least(f"{ours}: candidates against the kit before", 5, ratio[candidates, BEFORE]),
            at_least(f"{ours}: the same, all cores together", 5, ratio[f"{candidates}, all cores together", BEFORE]),
            at_least(f"{ours}: greedy against the kit before", 3, ratio[one_greedy["what"], BEFORE]),
        ]
    found = {row["system"]: row["median"] for row in rows if row["unit"] == "nDCG@10"}
    apart = max(abs(found[FLOAT32] - value) for value in found.values())
    targets.append(at_most("nDCG@10 of greedy expansions: largest difference to float32", 0.01, apart))
    report("generation", rows, targets, args, kit_before=commit(args.before) if args.before else None)


def engines(args: argparse.Namespace, float32: "Kit") -> dict[str, Any]:
    """What is measured, ours first: the engine that `auto` takes here."""
    systems: dict[str, Any] = {}
    if importlib.util.find_spec("openvino_genai") is not None:
        systems["openvino"] = Kit(engine="openvino")
    systems["transformers, --dtype auto"] = Kit(engine="transformers")
    systems["model.generate, float32"] = PlainLoop(float32)
    if args.before:
        systems[BEFORE] = Before(args.before)
    return systems


class Kit:
    """The kit as it is."""

    def __init__(self, **settings: str) -> None:
        self.expander = LocalExpander(EMBEDDED, **settings)
        self.expander.load()

    def together(self, requests: Asked) -> int:
        """How many of the requests it answers at once."""
        return len(self.expander.blocks(requests)[0])

    def answer(self, requests: Asked, sampling: Sampling) -> Spent:
        """Seconds, seconds that cores worked, and tokens written."""
        started, worked = time.perf_counter(), time.process_time()
        answers = [one for _, found in self.expander.expand(requests, sampling) for one in found]
        spent = time.perf_counter() - started, time.process_time() - worked
        return *spent, sum(one.completion_tokens for one in answers)


class Before:
    """The kit of another folder, in a process of its own, as its users had it: in float32."""

    def __init__(self, folder: Path) -> None:
        worker = [sys.executable, str(Path(__file__).with_name("support") / "kit_before.py"), EMBEDDED, "float32"]
        environment = os.environ | {"PYTHONPATH": str(folder.resolve())}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._worker = subprocess.Popen(worker, cwd=folder, env=environment, **pipes)

    def together(self, requests: Asked) -> int:
        """How many of the requests it answers at once: one of 50 samples was more than its block of 32."""
        return 1

    def answer(self, requests: Asked, sampling: Sampling) -> Spent:
        """Seconds, seconds that cores worked, and tokens written."""
        conversations = {request.key: request.messages for request in requests}
        asked = {"conversations": conversations, "samples": requests[0].samples, "sampling": vars(sampling)}
        assert self._worker.stdin and self._worker.stdout
        self._worker.stdin.write(json.dumps(asked) + "\n")
        self._worker.stdin.flush()
        found = json.loads(self._worker.stdout.readline())
        return found["seconds"], found["cpu"], found["tokens"]


class PlainLoop:
    """What somebody writes who has no kit: `model.generate` of one query after the other.

    Args:
        kit ([`Kit`]):
            Whose model and tokenizer are used.
    """

    def __init__(self, kit: Kit) -> None:
        self._model, self._tokenizer = kit.expander.engine.model, kit.expander.tokenizer

    def together(self, requests: Asked) -> int:
        """How many of the requests it answers at once."""
        return 1

    def answer(self, requests: Asked, sampling: Sampling) -> Spent:
        """Seconds, seconds that cores worked, and tokens written."""
        import torch

        drawn = {"temperature": sampling.temperature, "top_k": sampling.top_k, "do_sample": True}
        how = {**drawn, "num_return_sequences": requests[0].samples} if sampling.temperature else {"do_sample": False}
        started, worked, tokens = time.perf_counter(), time.process_time(), 0
        for request in requests:
            inputs = self._tokenizer.apply_chat_template(
                list(request.messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            limit = sampling.max_new_tokens
            with torch.inference_mode():
                output = self._model.generate(**inputs, **how, max_new_tokens=limit, pad_token_id=0)
            written = output[:, inputs["input_ids"].shape[1] :]
            tokens += int((written != 0).sum())
        return time.perf_counter() - started, time.process_time() - worked, tokens


def rate(system: Any, asked: Asked, worked: list[float]) -> Callable[[], float]:
    """Tokens a second of sampled candidates; every call asks further queries, and notes what cores worked a token."""
    many = [Request(request.key, request.messages, SAMPLES) for request in asked]
    size, calls = system.together(many), iter(range(len(asked)))

    def measured() -> float:
        first = next(calls) * size % max(1, len(many) - size + 1)
        seconds, cpu, tokens = system.answer(many[first : first + size], SAMPLING)
        worked.append(1000 * cpu / tokens)
        return float(tokens / seconds)

    return measured


def seconds_each(system: Any, asked: Asked, number: int) -> Callable[[], float]:
    """Seconds of a greedy expansion, the mean of so many, one query at a time."""
    return lambda: mean(system.answer([request], greedy(GREEDY_TOKENS))[0] for request in asked[:number])


def agreement(systems: dict[str, Any], asked: Asked, collection: Any) -> list[dict[str, Any]]:
    """Rows of greedy expansions: nDCG@10, and how many are those of transformers in float32."""
    grader = Grader(collection, load_retriever("bm25s", collection), load_formulation(FORMULATION))
    texts = {
        name: {key: found[0].text for key, found in system.expander.expand(asked, greedy(TOKENS))}
        for name, system in systems.items()
        if isinstance(system, Kit)
    }
    scores, equal = {}, {}
    for name, written in texts.items():
        grades = grader.expanded([(request.key, written[request.key]) for request in asked])
        scores[name] = [mean(grade.ndcg_at_10 for grade in grades)]
        equal[name] = [mean(written[key] == text for key, text in texts[FLOAT32].items())]
    what = f"greedy expansions of {len(asked)} queries, {TOKENS} tokens"
    return [*rows_of(what, "nDCG@10", scores), *rows_of(what, "share equal to float32", equal)]


if __name__ == "__main__":
    main()
