"""Many callers at once, and many one after another."""

import psutil
import pytest

from tests.support.small_engine import STUDENT, Stub


def test_fifty_calls_at_once_are_all_answered(address, engine):
    from gradio_client import Client

    engine.systems[STUDENT] = Stub(0.01)
    client = Client(address, verbose=False)
    jobs = [client.submit(f"file {number}", api_name="/expand") for number in range(50)]
    assert [job.result(timeout=60) for job in jobs] == [f"points words for file {number}" for number in range(50)]
    assert len(engine.systems[STUDENT].asked) == 50 and not engine.line._turns


@pytest.mark.slow
def test_two_hundred_calls_grow_the_memory_by_less_than_50_mb(address, engine):
    from gradio_client import Client

    engine.systems[STUDENT] = Stub()
    client = Client(address, verbose=False)
    before = 0
    for number in range(220):
        found = client.predict(f"file {number}", api_name="/search")
        assert found["expanded"]["hits"]
        if number == 20:  # What a first call loads does not count.
            before = resident()
    assert resident() - before < 50 * 2**20


def resident() -> int:
    """Memory of this process, in bytes."""
    return psutil.Process().memory_info().rss
