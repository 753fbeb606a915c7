"""The benchmark of a GPU, at a toy size on the CPU: it is whole, says where it ran, and goes on from what is there."""

import json

import pytest

from tests.support.commands import command


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_sequence_runs_and_is_not_run_again(tmp_path, embedded_model):
    given = ["benchmarks/gpu.py", "--quick", "--folder", tmp_path / "gpu", "--output", tmp_path / "gpu.json"]
    done = command(*given, timeout=1700)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((tmp_path / "gpu.json").read_text())
    assert results["card"].startswith("none")
    assert {"base", "rsft", "dpo"} <= set(results["ndcg_at_10"])
    measured = {(row["what"], row["system"]): row["median"] for row in results["rows"]}
    for model in ("SmolLM2-135M", "Qwen3-4B, random"):
        for stage in ("SFT", "DPO"):
            for what in ("a step", "peak"):
                for system in ("kit", "trl, defaults in NF4"):
                    assert measured[f"{model}, {stage}, {what}", system] > 0
    assert measured["candidates, n = 6", "kit"] > 0
    again = command(*given, timeout=600)
    assert again.returncode == 0 and again.stderr.count("up to date") >= 4, again.stderr[-3000:]
    assert json.loads((tmp_path / "gpu.json").read_text())["rows"] == results["rows"]
