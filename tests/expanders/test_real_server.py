"""`transformers serve`, a real OpenAI-compatible server, as teacher: it writes what the model itself writes."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import command


@contextmanager
def serving(model: str):
    """The server's URL, with this checkpoint loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = [Path(sys.executable).with_name("transformers"), "serve", model, "--host", "127.0.0.1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [*start, "--port", str(port), "--dtype", "float32", "--device", "cpu"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            assert process.poll() is None, "transformers serve ended"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_transformers_serve_teaches_what_the_model_itself_writes(tmp_path, embedded_model):
    import pyarrow.parquet as parquet
    from transformers.utils.import_utils import is_serve_available

    from builders.expanders.checkpoint import resolve_checkpoint

    if not is_serve_available():
        pytest.skip("transformers serve needs fastapi, uvicorn and openai")
    checkpoint = resolve_checkpoint(embedded_model)
    common = ["--num_train", "3", "--samples", "1", "--prompts", "api-docs-zero-shot", "--select", "all"]
    common += ["--temperature", "0", "--max_new_tokens", "12", "--block", "1"]
    with serving(checkpoint.path) as url:
        served = ["--expander", "inference", "--base_url", url, "--served_model", checkpoint.path]
        served += ["--model", checkpoint.model_id, "--concurrency", "2", "--provider", "transformers serve"]
        done = command("-m", "builders", "expansions", *common, *served, "--output_dir", tmp_path / "served")
        assert done.returncode == 0, done.stderr
    local = ["--model", embedded_model]
    done = command("-m", "builders", "expansions", *common, *local, "--output_dir", tmp_path / "local")
    assert done.returncode == 0, done.stderr
    names = ("query_id", "candidate", "prompt_tokens", "completion_tokens", "finish_reason", "ndcg_at_10", "model_id")
    written = {
        name: [
            tuple(row[column] for column in names)
            for shard in sorted((tmp_path / name / "data/raw").glob("*.parquet"))
            for row in parquet.read_table(shard).to_pylist()
        ]
        for name in ("served", "local")
    }
    assert written["served"] == written["local"] and len(written["local"]) == 3
    build = json.loads((tmp_path / "served/build.json").read_text())
    assert build["expander"]["provider"] == "transformers serve"
    assert checkpoint.path not in (tmp_path / "served/README.md").read_text().replace(build["command"], "")
