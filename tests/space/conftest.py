"""The page over an engine whose model is a stub, served in the tests' own process."""

import socket

import pytest

from tests.support.small_engine import STUDENT, Stub, small_engine


# How long the stub writes, in seconds: long enough to do something meanwhile.
WRITES = 1.2


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUERY_EXPANSION_KIT_CACHE", str(folder / "cache"))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        yield small_engine(folder)


@pytest.fixture(scope="module")
def address(engine):
    """Where the page is served, in this process."""
    from space.tabs.page import build, serve

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = build(engine)
    serve(page, server_port=port, prevent_thread_lock=True, quiet=True)
    yield f"http://127.0.0.1:{port}"
    page.close(verbose=False)


@pytest.fixture
def student(engine):
    """A stub that has written nothing yet."""
    engine.systems[STUDENT] = Stub(WRITES)
    return engine.systems[STUDENT]
