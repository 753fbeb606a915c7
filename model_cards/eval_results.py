"""The eval-results file: what a benchmark's leaderboard on the Hub reads, beside the card's own `model-index`.

https://huggingface.co/docs/hub/eval-results: the dataset has to be registered on the Hub as a benchmark, which holds
an `eval.yaml` with the task's id. Results of other datasets appear on no leaderboard.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from builders.errors import KitError
from model_cards.results import measured_system, read_results


FOLDER = ".eval_results"


@dataclass(frozen=True)
class Benchmark:
    """A task of a benchmark on the Hub: the dataset's id, and the task's in its `eval.yaml`."""

    dataset_id: str
    task_id: str

    @property
    def path(self) -> str:
        """The file in the adapter's folder and repository."""
        return f"{FOLDER}/{self.dataset_id.split('/')[1]}.yaml"


def read_benchmark(text: str) -> Benchmark:
    """Read `OWNER/NAME:TASK`.

    Raises:
        KitError: it is none.
    """
    match = re.fullmatch(r"([\w.-]+/\w[\w.-]*):([\w.-]+)", text)
    if match is None:
        raise KitError(
            f"--eval_results {text!r}: give OWNER/NAME:TASK, a benchmark's dataset and a task of its eval.yaml"
        )
    return Benchmark(match[1], match[2])


def eval_results(folder: Path, results_path: Path, benchmark: Benchmark) -> str:
    """The text of the file: nDCG@10, between 0 and 1, and in the notes how it was measured.

    Args:
        folder (`Path`):
            Adapter folder.
        results_path (`Path`):
            `results.json` of an evaluation that measured exactly these weights.
        benchmark ([`Benchmark`]):
            Where the queries come from.

    Raises:
        KitError: the results are missing, or of other weights.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    results = read_results(results_path)
    row = results["systems"][measured_system(results, folder, results_path)]
    entry = EvalResultEntry(
        dataset_id=benchmark.dataset_id,
        task_id=benchmark.task_id,
        value=row["ndcg_at_10"],
        notes=f"nDCG@10 of {row['queries']} {results['settings']['split']} queries, expanded; {results['retriever']}, "
        f"query formed as {results['formation']}",
    )
    return yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=1000)
