"""Planted faults against the bare client: why the kit has a publisher of its own."""

from __future__ import annotations

import textwrap
import time

import pytest

from tests.hub_server import HubServer
from tests.hub_server.fixtures import run_client


BARE_CLIENT = """
from huggingface_hub import CommitOperationAdd
def commit(id, files=None, **kwargs):
    files = files or {"a.txt": b"a", "w.bin": b"w" * 20_000}
    ops = [CommitOperationAdd(path, content) for path, content in files.items()]
    return api.create_commit(id, ops, commit_message="c", **kwargs).oid
for name in names:
    api.create_repo("kit-owner/" + name)
for name in names:
    result[name] = name_of(commit, "kit-owner/" + name)[:2]
    result[name + " again"] = name_of(commit, "kit-owner/" + name)[:2]
"""


def test_faults_of_a_commit(hub: HubServer) -> None:
    """The commit request is never retried: whether it was applied is for the caller to find out."""
    statuses = {"s503": 503, "s429": 429, "s409": 409, "s401": 401, "s500": 500}
    for name, status in statuses.items():
        hub.fault("POST", f"/{name}/commit/", status=status)
    hub.fault("POST", "/s500-applied/commit/", status=500, applied=True)
    for drop in ("before", "mid_request", "after", "mid_response", "mid_response_fin"):
        hub.fault("POST", f"/{drop}/commit/", drop=drop)
    names = [*statuses, "s500-applied", "before", "mid_request", "after", "mid_response", "mid_response_fin"]
    planted = list(hub.faults.planted)
    result = run_client(hub, BARE_CLIENT, names=names)
    assert [fault.fired for fault in planted] == [1] * len(planted)
    for name, status in statuses.items():
        assert result[name] == ["HfHubHTTPError", status]
    assert result["s500-applied"] == ["HfHubHTTPError", 500]
    lost = {"ReadError", "RemoteProtocolError"}
    # A reset met while writing is swallowed by the client, which then reads the end of the stream.
    resets = {*lost, "WriteError"}
    for drop in ("before", "mid_request"):
        assert result[drop][0] in resets, (drop, result[drop])
    for drop in ("after", "mid_response", "mid_response_fin"):
        assert result[drop][0] in lost, (drop, result[drop])
    assert result["mid_response"][0] == "ReadError" and result["mid_response_fin"][0] == "RemoteProtocolError"
    # Run again it converges, and what was applied is not committed twice.
    for name in names:
        assert result[f"{name} again"][0] == "ok"
        view = hub.repo("model", f"kit-owner/{name}")
        assert len(view.commits()) == 2 and set(view.tree()) == {"a.txt", "w.bin"}, name
        assert len(hub.requests("PUT", "/storage/")) == len(names), "blobs are kept for the next attempt"
        expected = 2 if name in {*statuses, "before", "mid_request"} else 1
        commits = hub.requests("POST", f"/{name}/commit/")
        assert len(commits) == expected, name
        if name not in {*statuses, "s500-applied"}:
            assert commits[0].drop == name
            assert (commits[0].status is None) is (name in {"before", "mid_request", "after"})


def test_faults_before_a_commit_are_retried(hub: HubServer) -> None:
    """The client retries uploads and questions; a rate limit tells it how long to wait."""
    hub.chunk_size = 15_000
    seen: list[int] = []
    hub.fault("PUT", "/storage/upload/[^/]+/1", status=500, times=2)
    hub.fault("PUT", "/storage/upload/[^/]+/2", drop="mid_request")
    hub.fault("POST", "/preupload/", status=429, headers={"ratelimit": '"api";r=0;t=1'})
    hub.fault("POST", "/lfs/objects/batch", status=429, headers={"Retry-After": "1"})
    hub.fault("POST", "/commit/", delay=0.3, hook=lambda request: seen.append(len(request.body)))
    quick = """
    import time
    from types import SimpleNamespace
    from huggingface_hub.utils import _http
    waits = []
    _http.time = SimpleNamespace(sleep=waits.append, time=time.time)
    """
    client = f"{textwrap.dedent(quick)}{BARE_CLIENT}result['waits'] = waits"
    result = run_client(hub, client, names=["retried"])
    # A second more than each of the two was told to wait; one, and one and two, before what failed is sent again.
    assert sorted(result.pop("waits")) == [1, 1, 2, 2, 2]
    assert result == {
        "retried": ["ok", hub.repo("model", "kit-owner/retried").head],
        "retried again": result["retried"],
    }
    assert all(fault.fired for fault in hub.faults.planted) and seen[0] > 100
    assert hub.repo("model", "kit-owner/retried").read("w.bin") == b"w" * 20_000
    first, second = (entry for entry in hub.requests("POST", "/preupload/")[:2])
    assert (first.status, second.status) == (429, 200)
    assert hub.requests("POST", "/commit/")[0].seconds >= 0.3


def test_concurrent_commit_by_a_hook(hub: HubServer) -> None:
    """A hook commits as somebody else just before the client does."""
    view = hub.create_repo("model", "kit-owner/m")
    parent = view.head
    hub.fault("POST", "/commit/main", hook=lambda request: view.commit({"theirs.txt": b"t"}))
    hub.fault("POST", "/preupload/", skip=1, hook=lambda request: view.set(private=True))
    script = """
        from huggingface_hub import CommitOperationAdd
        def commit(path, **kwargs):
            return api.create_commit("kit-owner/m", [CommitOperationAdd(path, b"x")], commit_message="c", **kwargs).oid
        result["raced"] = name_of(commit, "a.txt", parent_commit=parent)
        result["without parent"] = name_of(commit, "b.txt")
        """
    result = run_client(hub, script, parent=parent)
    assert result["raced"][:2] == ["HfHubHTTPError", 412] and result["without parent"][0] == "ok"
    assert set(view.tree()) == {"theirs.txt", "b.txt"} and view.record.private


def test_faults_of_a_download(hub: HubServer) -> None:
    """Cut by an orderly close a download goes on; cut by a reset it fails; wrong bytes of the right length pass."""
    content = bytes(range(256)) * 400
    names = ["fin", "rst", "wrong", "short"]
    for name in names:
        hub.create_repo("model", f"kit-owner/{name}").commit({f"{name}.bin": bytes(content) + name.encode()})
    digest = {name: hub.repo("model", f"kit-owner/{name}").tree()[f"{name}.bin"].sha256 for name in names}
    hub.fault("GET", digest["fin"], drop="mid_response_fin")
    hub.fault("GET", digest["rst"], drop="mid_response")
    hub.fault("GET", digest["wrong"], body=b"!" * (len(content) + 5))
    hub.fault("GET", digest["short"], body=b"!", times=9)
    result = run_client(
        hub,
        """
        for name in names:
            try:
                path = api.hf_hub_download("kit-owner/" + name, name + ".bin")
                result[name] = [os.path.getsize(path), open(path, "rb").read(1).hex()]
            except Exception as error:
                result[name] = [type(error).__name__]
        """,
        names=names,
    )
    assert result["fin"] == [len(content) + 3, "00"]
    assert result["rst"] == ["ReadError"]
    assert result["wrong"] == [len(content) + 5, b"!".hex()], "the client checks the length only"
    assert result["short"] == ["OSError"]


@pytest.mark.slow
def test_questions_failing_for_ever_end_in_bounded_time(hub: HubServer) -> None:
    """Before an upload and before a download: a handful of tries each."""
    hub.fault("POST", "/preupload/", status=503, times=99)
    hub.fault("HEAD", "/resolve/", status=503, times=99)
    started = time.monotonic()
    download = 'result["download"] = name_of(api.hf_hub_download, "kit-owner/m", ".gitattributes")[:1]'
    result = run_client(hub, f"{BARE_CLIENT}\n{download}", names=["m"])
    assert result["m"] == ["HfHubHTTPError", 503] and result["download"] == ["LocalEntryNotFoundError"]
    assert len(hub.requests("POST", "/preupload/")) == 12 and len(hub.requests("HEAD", "/resolve/")) == 7
    assert time.monotonic() - started < 120
    assert len(hub.repo("model", "kit-owner/m").commits()) == 1


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "parent_commit"])
def test_upload_folder_with_xet_repeats_a_lost_commit(hub: HubServer, guarded: bool) -> None:
    """Why the kit does not use `upload_folder`: with xet on it repeats a commit whose answer was lost."""
    pytest.importorskip("hf_xet", reason="xet storage needs hf_xet")
    hub.fault("POST", "/commit/", drop="after")
    result = run_client(
        hub,
        """
        api.create_repo("kit-owner/m")
        os.makedirs("folder")
        open("folder/w.bin", "wb").write(b"w" * 5000)
        parent = api.repo_info("kit-owner/m").sha if guarded else None
        where = {"repo_id": "kit-owner/m", "folder_path": "folder"}
        result["upload"] = name_of(api.upload_folder, parent_commit=parent, **where)
        """,
        xet=True,
        guarded=guarded,
    )
    commits = hub.repo("model", "kit-owner/m").commits()
    if guarded:
        assert result["upload"][:2] == ["HfHubHTTPError", 412] and len(commits) == 2
    else:
        assert result["upload"][0] == "ok" and len(commits) == 3, "a duplicate commit"
