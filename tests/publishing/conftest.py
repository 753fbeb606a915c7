"""A calm in-process client, folders of every kind, and what an undisturbed publish makes of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import hub
from tests.support.publishing_client import KINDS, Calm, publish, repo, titles
from tests.support.rendered_folders import make, many_shards
from tests.support.trained_retriever import trained_retriever


__all__ = ["hub"]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The in-process client: online, without xet, and with short pauses. Returns the pauses that it would make."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    made: list[float] = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=made.append, time=time.time))
    monkeypatch.setattr(
        "builders.publishing.failure.time",
        SimpleNamespace(sleep=lambda seconds: (made.append(seconds), time.sleep(0.01))),
    )
    return made


@pytest.fixture
def xet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn xet on for the in-process client."""
    pytest.importorskip("hf_xet", reason="xet storage needs hf_xet")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained retriever, its triplets beside it in `data`: to be read, not changed."""
    pytest.importorskip("sentence_transformers", reason="the extra dense is not installed")
    return trained_retriever(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def retriever(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "retriever")


@contextmanager
def _calm_hub(disable_xet: bool = True) -> Iterator[HubServer]:
    """A server where nothing goes wrong, for what is made once for all tests."""
    with HubServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", disable_xet)
        yield server
        server.assert_clean()


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Two versions of every kind of folder: to be read, not changed."""
    root = tmp_path_factory.mktemp("versions")
    return {kind: (make(kind, root / kind / "1", 1), make(kind, root / kind / "2", 2)) for kind in KINDS}


@pytest.fixture(scope="session")
def calm(versions: dict[str, tuple[Path, Path]]) -> dict[str, dict[str, bytes]]:
    """The trees that the second versions make when nothing disturbs them."""
    trees = {}
    for kind, folders in versions.items():
        with _calm_hub() as server:
            for folder in folders:
                publish(server, folder)
            trees[kind] = repo(server, kind).files()
    return trees


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of more than 300 files."""
    with pytest.MonkeyPatch.context() as patch:
        return many_shards(tmp_path_factory.mktemp("large") / "dataset", patch)


@pytest.fixture(scope="session")
def calm_large(large: Path) -> Calm:
    """What the large dataset makes when nothing disturbs its publish, xet on and lists in pages."""
    pytest.importorskip("hf_xet", reason="xet storage needs hf_xet")
    with _calm_hub(disable_xet=False) as server:
        server.page_size = 100
        publish(server, large)
        return Calm(repo(server, "dataset").files(), titles(server, "dataset"), list(server.log))
