"""A release over real HTTP: datasets, adapters, Space and collection, each naming the others at exact revisions."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from builders.artifacts.files import file_hash
from builders.artifacts.model_folder import adapter_name
from builders.artifacts.render import render_dataset
from builders.commands.release import ReleaseArguments, release
from builders.errors import KitError
from builders.publishing.card_merge import read_card
from builders.publishing.release_folder import REPORT
from tests.hub_server import HubServer
from tests.hub_server.fixtures import client_environment
from tests.hub_server.view import RepoView
from tests.support.commands import DATA_RECIPES, ROOT, Demo, command_here, refused
from tests.support.publishing_client import HTML
from tests.support.rendered_folders import BASE, VERSION, adapter, build, expansions, preference_row, space


TITLE = "Query expansion, all of it"
# Repository → its type, in the order of the release.
PARTS = {
    "kit-owner/candidates": "dataset",
    "kit-owner/pairs": "dataset",
    "kit-owner/expander-sft": "model",
    "kit-owner/expander-dpo": "model",
    "kit-owner/demo": "space",
}
STAGES = ("sft", "dpo")
PLURAL = {"dataset": "datasets", "model": "models", "space": "spaces"}


def pairs(folder: Path, candidates: Path, rows: int = 4) -> Path:
    """A preference dataset made from these expansions."""
    source = {"build_sha256": file_hash(candidates / "build.json"), "code_version": VERSION}
    tables = {"preference": {"train": [preference_row(number) for number in range(rows)]}}
    render_dataset(folder, tables, {**build("preferences", rows), "expansions": source}, {"total_seconds": 1.0})
    return folder


def trained(folder: Path, seed: int, parent: Path | None = None, **data: Path) -> Path:
    """An adapter trained on these datasets (role → folder)."""
    adapter(folder, seed)
    record = json.loads((folder / "training.json").read_text())
    record |= {
        "settings": {
            "data": {
                role: {"build_sha256": file_hash(source / "build.json"), "split": "train"}
                for role, source in data.items()
            }
        },
        "parent": adapter_name(str(parent)) if parent else None,
        "base": {"model_id": BASE, "revision": "0" * 40, "weights": "the Hub"},
    }
    (folder / "training.json").write_text(json.dumps(record))
    return folder


def showing(folder: Path, student: Path) -> Path:
    """A Space that carries this adapter."""
    space(folder)
    (folder / "adapter").mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / "adapter" / name).write_bytes((student / name).read_bytes())
    settings = {"model": BASE, "revision": "0" * 40, "weights": "the Hub", "adapter": "adapter"}
    (folder / "space.json").write_text(json.dumps(settings))
    return folder


def make_parts(root: Path, rows: int = 4) -> dict[str, Path]:
    """Folders that were made from one another."""
    made = {"candidates": expansions(root / "candidates", rows)}
    made["pairs"] = pairs(root / "pairs", made["candidates"], rows)
    made["sft"] = trained(root / "models" / "sft", 1, expansions=made["candidates"])
    made["dpo"] = trained(root / "models" / "dpo", 2, parent=made["sft"], preferences=made["pairs"])
    made["space"] = showing(root / "space", made["dpo"])
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_parts(tmp_path_factory.mktemp("made"))


def settings(made: dict[str, Path], output: Path, **changes) -> ReleaseArguments:
    """The whole release; in the recipe the pairs and the DPO adapter stand before what they were made from."""
    arguments = ReleaseArguments(
        owner="kit-owner",
        tag="v1.0",
        output_dir=str(output),
        datasets=[f"{made['pairs']}=pairs", f"{made['candidates']}=candidates"],
        adapters=[f"{made['dpo']}=expander-dpo", f"{made['sft']}=expander-sft"],
        space=f"{made['space']}=demo",
        collection=TITLE,
        description="All that belongs together",
        push_to_hub=True,
    )
    return replace(arguments, **changes)


def push(hub: HubServer, arguments: ReleaseArguments, token: str | None = None) -> dict:
    """Release; the report."""
    from huggingface_hub import HfApi

    release(arguments, HfApi(hub.url, token or hub.owner_token))
    return json.loads((Path(arguments.output_dir) / REPORT).read_text())


def refusal(hub: HubServer, arguments: ReleaseArguments, token: str | None = None) -> str:
    with pytest.raises(KitError) as caught:
        push(hub, arguments, token)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 900, line
    return line


def repos(hub: HubServer) -> dict[str, RepoView]:
    return {name: hub.repo(type, name) for name, type in PARTS.items()}


def collection(hub: HubServer, title: str = TITLE) -> dict:
    """The stored collection of this title; the only one."""
    (found,) = [entry for entry in hub.store.collections.values() if entry["title"] == title]
    return found


def changes(hub: HubServer) -> list[str]:
    """Every request that asked for a change."""
    harmless = ("validate-yaml", "preupload")
    return [
        f"{entry.method} {entry.path}"
        for entry in list(hub.log)
        if entry.method != "GET" and entry.method != "HEAD" and not any(word in entry.path for word in harmless)
    ]


def assert_released(hub: HubServer, tag: str = "v1.0") -> dict[str, str]:
    """All parts are up, made by one commit each, and name each other truly; repository → the tag's commit."""
    commits = {}
    for name, repo in repos(hub).items():
        assert [commit.title.split(" (")[0] for commit in repo.commits()][1:] == ["initial commit"], name
        commits[name] = repo.refs[f"refs/tags/{tag}"]
        assert commits[name] == repo.head
    assert_named(hub, commits, tag)
    return commits


def assert_named(hub: HubServer, commits: dict[str, str], tag: str) -> None:
    for place, name in enumerate(PARTS):
        text = repos(hub)[name].read("README.md", tag).decode()
        rows = re.findall(
            r"^\| \w+(?: \(this one\))? \| \[(\S+)\]\((\S+)\) \| `(\S+)`(?:, commit `(\w+)`)? \|$", text, re.M
        )
        prefix = {"dataset": "/datasets", "model": "", "space": "/spaces"}
        # What was published before by its commit, what came later by the tag that it got.
        assert rows == [
            (other, f"{hub.url}{prefix[type]}/{other}", tag, commits[other] if number < place else "")
            for number, (other, type) in enumerate(PARTS.items())
        ]
        named = set(re.findall(r"\b[0-9a-f]{40}\b", text)) - {"0" * 40}
        assert named == {commits[other] for other in list(PARTS)[:place]}
    notes = [(item["type"], item["id"], item["note"]["text"]) for item in collection(hub)["items"]]
    assert [note[:2] for note in notes] == [(type, name) for name, type in PARTS.items()]
    assert all(note.endswith(f"Release {tag}, commit {commits[name]}.") for _, name, note in notes)


# ------------------------------------------------------------------------------------------------- the whole


def test_a_release_goes_up_in_order_and_names_itself_exactly(hub: HubServer, made: dict, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for folder in made.values() for path in folder.rglob("*") if path.is_file()}
    report = push(hub, settings(made, tmp_path / "release"))
    commits = assert_released(hub)
    order = [path for path in changes(hub) if "/commit/" in path or path.endswith(("api/collections", "/items"))]
    wanted = [f"POST /api/{PLURAL[type]}/{name}/commit/main" for name, type in PARTS.items()]
    assert order[:5] == wanted and order[5] == "POST /api/collections" and len(order) == 11

    def text(name: str) -> str:
        return repos(hub)[f"kit-owner/{name}"].read("README.md").decode()

    def link(name: str) -> str:
        full = f"kit-owner/{name}"
        prefix = "datasets/" if PARTS[full] == "dataset" else ""
        return f"[{full}]({hub.url}/{prefix}{full}) (`v1.0`, commit `{commits[full]}`)"

    base = f"Base model: [{BASE}]({hub.url}/{BASE}), revision `{'0' * 40}`."
    assert f"Made from {link('candidates')}." in text("pairs")
    assert f"Trained on {link('candidates')}." in text("expander-sft") and base in text("expander-sft")
    assert f"Trained on {link('pairs')}, going on with {link('expander-sft')}." in text("expander-dpo")
    assert f"Runs {link('expander-dpo')}." in text("demo") and base in text("demo")

    data = {name: read_card(text(name), "test").data for name in ("expander-sft", "expander-dpo", "demo")}
    assert data["expander-sft"]["datasets"] == ["kit-owner/candidates"]
    assert data["expander-dpo"]["datasets"] == ["kit-owner/candidates", "kit-owner/pairs"]
    assert data["demo"]["datasets"] == ["kit-owner/candidates", "kit-owner/pairs"]
    assert data["demo"]["models"] == ["kit-owner/expander-dpo"]

    assert all(repo.record.private for repo in repos(hub).values()) and collection(hub)["private"]
    assert collection(hub)["description"] == "All that belongs together"
    assert report["complete"] and report["read_back"]
    assert [entry["state"] for entry in report["entries"]] == ["published"] * 6
    assert {entry["id"]: entry["commit"] for entry in report["entries"][:5]} == commits
    assert report["entries"][5]["url"] == f"{hub.url}/collections/{collection(hub)['slug']}"
    after = {path: path.read_bytes() for path in before}
    assert after == before, "the folders of the user were changed"


def test_a_release_shows_names_as_they_are(hub: HubServer, made: dict, tmp_path: Path) -> None:
    folder = shutil.copytree(made["sft"], tmp_path / "sft")
    training = json.loads((folder / "training.json").read_text())
    training["base"] |= {"revision": "`|`", "weights": "<i>those</i>"}
    (folder / "training.json").write_text(json.dumps(training))
    names = {"collection": "All *of* <b>", "datasets": [f"{made['candidates']}=candidates"], "space": None}
    push(hub, settings(made, tmp_path / "release", adapters=[f"{folder}=expander-sft"], **names))
    text = repos(hub)["kit-owner/expander-sft"].read("README.md").decode()
    assert "The collection *All \\*of\\* &lt;b>* holds" in text
    base = f"Base model: [{BASE}]({hub.url}/{BASE}), revision"
    assert f"{base} <code>\\`\\|\\`</code> (&lt;i>those&lt;/i>)." in text


def test_releasing_twice_changes_nothing(hub: HubServer, made: dict, tmp_path: Path) -> None:
    push(hub, settings(made, tmp_path / "release"))
    hub.log.clear()
    report = push(hub, settings(made, tmp_path / "elsewhere"))
    assert changes(hub) == [] and report["complete"]
    assert [entry["state"] for entry in report["entries"]] == ["up to date"] * 6


def test_what_people_add_on_the_hub_stays(hub: HubServer, made: dict, tmp_path: Path) -> None:
    push(hub, settings(made, tmp_path / "release"))
    repo = hub.repo("model", "kit-owner/expander-sft")
    repo.commit({"README.md": repo.read("README.md") + b"\nBy hand.\n", "notes.txt": b"mine"})
    hub.create_repo("model", "kit-owner/mine")
    mine = {"_id": "0" * 24, "id": "kit-owner/mine", "type": "model", "note": {"html": "mine", "text": "mine"}}
    collection(hub)["items"].insert(2, mine)
    head = repo.head
    hub.log.clear()
    push(hub, settings(made, tmp_path / "release"))
    assert changes(hub) == [] and repo.head == head and collection(hub)["items"][2] == mine
    # Something of ours was taken out: it comes back behind what stands before it.
    removed = collection(hub)["items"].pop(4)
    assert removed["id"] == "kit-owner/expander-dpo"
    collection(hub)["items"][1]["note"] = {"html": "old", "text": "old"}
    push(hub, settings(made, tmp_path / "release"))
    names = [item["id"] for item in collection(hub)["items"]]
    assert names == [*list(PARTS)[:2], "kit-owner/mine", *list(PARTS)[2:]]
    assert "Release v1.0" in collection(hub)["items"][1]["note"]["text"]


def test_a_collection_that_no_list_shows_is_found_all_the_same(hub: HubServer, made: dict, tmp_path: Path) -> None:
    hub.fault(
        "GET", r"/api/collections\?", times=99, status=200, body="[]", headers={"Content-Type": "application/json"}
    )
    arguments = settings(made, tmp_path / "release", datasets=[], space=None)
    for _ in range(2):
        assert push(hub, arguments)["complete"]
        assert [item["id"] for item in collection(hub)["items"]] == [
            "kit-owner/expander-sft",
            "kit-owner/expander-dpo",
        ]


def test_the_next_release_and_the_first_one_again(hub: HubServer, made: dict, tmp_path: Path) -> None:
    """New commits and tags, new notes; the first release stands as it was, and run again it takes nothing back."""
    push(hub, settings(made, tmp_path / "release"))
    first = {name: repo.refs["refs/tags/v1.0"] for name, repo in repos(hub).items()}
    items = [item["_id"] for item in collection(hub)["items"]]
    more = make_parts(tmp_path / "more", rows=6)
    push(hub, settings(more, tmp_path / "next", tag="v1.1"))
    second = {name: repo.refs["refs/tags/v1.1"] for name, repo in repos(hub).items()}
    assert_named(hub, second, "v1.1")
    assert [item["_id"] for item in collection(hub)["items"]] == items
    push(hub, settings(made, tmp_path / "release"))
    for name, repo in repos(hub).items():
        assert repo.refs["refs/tags/v1.0"] == first[name] and repo.head == second[name] and len(repo.commits()) == 3


def test_only_what_is_given(hub: HubServer, made: dict, tmp_path: Path) -> None:
    """Without datasets nothing is said of them; without a title there is no collection."""
    arguments = settings(made, tmp_path / "release", datasets=[], space=None, collection=None, owner=hub.organisation)
    report = push(hub, arguments)
    assert [entry["id"] for entry in report["entries"]] == ["kit-org/expander-sft", "kit-org/expander-dpo"]
    assert not hub.store.collections and len(hub.store.repos) == 2
    card = read_card(hub.repo("model", "kit-org/expander-dpo").read("README.md").decode(), "test")
    assert "datasets" not in card.data and "Trained on" not in card.generated
    assert "Goes on with [kit-org/expander-sft]" in card.generated


# ------------------------------------------------------------------------------------------------- public


def test_public_only_when_all_is_up_and_in_order(hub: HubServer, made: dict, tmp_path: Path) -> None:
    opened = []

    def look(request) -> None:
        seen = {name: repo.record.private for name, repo in repos(hub).items()}
        opened.append([*seen.values(), collection(hub)["private"], len(collection(hub)["items"])])

    hub.fault("PUT", "/settings", times=5, hook=look)
    hub.fault("PATCH", "/api/collections/", hook=look)
    report = push(hub, settings(made, tmp_path / "release", public=True))
    assert opened == [[False] * n + [True] * (6 - n) + [5] for n in range(6)]
    assert report["complete"] and {entry["private"] for entry in report["entries"]} == {False}
    hub.log.clear()
    push(hub, settings(made, tmp_path / "release", public=True))
    assert changes(hub) == []


def test_a_part_that_stays_private_is_told(hub: HubServer, made: dict, tmp_path: Path) -> None:
    hub.fault("PUT", "/models/kit-owner/expander-sft/settings", times=9, status=403)
    arguments = settings(made, tmp_path / "release", public=True)
    line = refusal(hub, arguments)
    assert line.startswith("adapter kit-owner/expander-sft: ") and "6 of 6 parts are up" in line
    report = json.loads((tmp_path / "release" / REPORT).read_text())
    assert not report["complete"] and [entry["private"] for entry in report["entries"]] == [False] * 2 + [True] * 4
    hub.faults.clear()
    assert push(hub, arguments)["complete"]
    assert not any(repo.record.private for repo in repos(hub).values())


# ------------------------------------------------------------------------------------------------- faults


def faults(name: str) -> dict[str, tuple[str, str]]:
    place = f"/api/{PLURAL[PARTS[name]]}/{name}"
    return {"commit": ("POST", f"{place}/commit/"), "tag": ("POST", f"{place}/tag/")}


STEPS = [
    *((name, what, *request) for name in PARTS for what, request in faults(name).items()),
    (TITLE, "creation", "POST", "/api/collections$"),
    (TITLE, "second item", "POST", "/items$"),
]
FAST = ("candidates tag", "pairs commit", "expander-sft tag", "demo commit", "second item")
AT_EVERY_STEP = [
    pytest.param(
        *step, id=f"{step[0]} {step[1]}", marks=[] if f"{step[0]} {step[1]}".endswith(FAST) else pytest.mark.slow
    )
    for step in STEPS
]


@pytest.mark.parametrize(("name", "what", "method", "path"), AT_EVERY_STEP)
def test_after_a_failure_the_report_is_true_and_the_next_run_goes_on(
    hub: HubServer, made: dict, tmp_path: Path, name: str, what: str, method: str, path: str, capsys
) -> None:
    fault = hub.fault(method, path, times=99, skip=what == "second item", status=403)
    arguments = settings(made, tmp_path / "release")
    line = refusal(hub, arguments)
    names = [*PARTS, TITLE]
    place = names.index(name)
    kinds = ["expansions", "preferences", "adapter", "adapter", "space", "collection"]
    assert line.startswith(f"{kinds[place]} {name}: ") and f"{place} of 6 parts are up" in line
    assert fault.fired == 1, "a refusal was tried again"
    report = json.loads((tmp_path / "release" / REPORT).read_text())
    assert not report["complete"] and report["read_back"]
    assert [entry["state"] for entry in report["entries"]] == [
        *["published"] * place,
        "failed",
        *["not reached"] * (5 - place),
    ]
    for entry, repo in zip(report["entries"], repos(hub).values(), strict=False):
        tag = repo.refs.get("refs/tags/v1.0") if repo.exists else None
        committed = repo.head if repo.exists and len(repo.commits()) > 1 else None
        assert (entry["commit"], entry["tag"]) == (committed, "v1.0" if tag else None)
        assert entry["private"] == (True if repo.exists else None)
    told = capsys.readouterr().err
    assert f"release v1.0: {place} of 6 parts are up (read from the Hub)" in told
    hub.faults.clear()
    done = push(hub, arguments)
    assert done["complete"]
    assert [entry["state"] for entry in done["entries"]][:place] == ["up to date"] * place
    assert_released(hub)


@pytest.mark.parametrize("how", [{"drop": "after"}, {"status": 500, "applied": True}], ids=["cut", "500 but made"])
def test_lost_answers_are_no_failures(hub: HubServer, made: dict, tmp_path: Path, how: dict) -> None:
    """Of a commit, a tag, the collection's creation, an item, and what makes it public."""
    requests = [
        ("POST", "/models/.*/commit/"),
        ("POST", "/spaces/.*/tag/"),
        ("POST", "/api/collections$"),
        ("POST", "/items$"),
        ("PUT", "/settings"),
        ("PATCH", "/api/collections/"),
    ]
    planted = [hub.fault(method, path, **how) for method, path in requests]
    assert push(hub, settings(made, tmp_path / "release", public=True))["complete"]
    assert [fault.fired for fault in planted] == [1] * len(requests)
    assert_released(hub)


def test_a_hub_that_is_gone_in_the_end(hub: HubServer, made: dict, tmp_path: Path) -> None:
    """What cannot be read again is told as far as it is known, and marked so."""
    hub.fault(
        "POST", "/models/kit-owner/expander-sft/commit/", hook=lambda _: hub.fault("*", "", times=999, status=503)
    )
    line = refusal(hub, settings(made, tmp_path / "release"))
    assert "2 of 6 parts are up" in line
    report = json.loads((tmp_path / "release" / REPORT).read_text())
    assert not report["read_back"] and not report["complete"]
    commits = {name: repo.head for name, repo in list(repos(hub).items())[:2]}
    assert {entry["id"]: entry["commit"] for entry in report["entries"][:2]} == commits
    hub.faults.clear()
    assert push(hub, settings(made, tmp_path / "release"))["complete"]
    assert_released(hub)


def test_a_part_that_vanishes_meanwhile_is_not_called_up(hub: HubServer, made: dict, tmp_path: Path) -> None:
    pair = hub.repo("dataset", "kit-owner/pairs")
    hub.fault("POST", "/spaces/.*/commit/", hook=lambda _: pair.record.refs.pop("refs/tags/v1.0"))
    line = refusal(hub, settings(made, tmp_path / "release"))
    assert "preferences kit-owner/pairs" in line and "changed it meanwhile" in line and "5 of 6" in line
    report = json.loads((tmp_path / "release" / REPORT).read_text())
    assert report["entries"][1]["state"] == "failed" and report["entries"][1]["tag"] is None


@pytest.mark.parametrize(
    ("method", "path", "changes"),
    [
        ("PATCH", "/items/", {}),
        ("PATCH", "/api/collections/[^/]+/[^/]+$", {"public": True}),
        ("POST", "/items$", {}),
        ("POST", "/spaces/.*/tag/", {}),
    ],
)
def test_a_release_is_not_called_done_for_a_page(
    hub: HubServer,
    made: dict,
    tmp_path: Path,
    method: str,
    path: str,
    changes: dict,
) -> None:
    arguments = settings(made, tmp_path / "release", **changes)
    if "items/" in path:
        push(hub, arguments)
        collection(hub)["items"][0]["note"] = {"html": "another", "text": "another"}
    fault = hub.fault(method, path, times=99, **HTML)
    assert TITLE in (line := refusal(hub, arguments)) or "tag 'v1.0'" in line
    assert fault.fired >= 1
    hub.faults.clear()
    assert push(hub, arguments)["complete"]
    assert_released(hub)


def test_a_release_whose_tag_was_lost_is_finished_by_running_it_again(
    hub: HubServer,
    made: dict,
    tmp_path: Path,
) -> None:
    arguments = settings(made, tmp_path / "release")
    push(hub, arguments)
    pairs = hub.repo("dataset", "kit-owner/pairs")
    tagged = pairs.record.refs.pop("refs/tags/v1.0")
    # Somebody goes on meanwhile: the tag belongs on what the others name.
    pairs.commit({"theirs.txt": b"t"})
    assert push(hub, arguments)["complete"] and pairs.refs["refs/tags/v1.0"] == tagged


# ------------------------------------------------------------------------------------------------- the command


def recipe(arguments: ReleaseArguments, path: Path, **more) -> Path:
    given = {name: value for name, value in vars(arguments).items() if value not in (None, False)}
    path.write_text(yaml.safe_dump(given | more))
    return path


def start(hub: HubServer, home: str, *arguments: object, token: str | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "builders", "release", *map(str, arguments)],
        env=client_environment(hub, Path(home), token),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def command(hub: HubServer, *arguments: object, token: str | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m builders release …` as a user runs it, with a fresh home."""
    with tempfile.TemporaryDirectory() as home:
        process = start(hub, home, *arguments, token=token)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def killed(hub: HubServer, config: Path, method: str, path: str, skip: int = 0) -> None:
    """Release in a process that is killed by SIGKILL when its request arrives."""
    with tempfile.TemporaryDirectory() as home:
        process = start(hub, home, "--config", config)

        def kill(_: object) -> None:
            process.send_signal(signal.SIGKILL)
            process.wait()

        hub.fault(method, path, skip=skip, hook=kill)
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/models/kit-owner/expander-sft/commit/"),
        pytest.param("POST", "/datasets/kit-owner/pairs/tag/", marks=pytest.mark.slow),
        pytest.param("PUT", "/storage/upload", marks=pytest.mark.slow),
        pytest.param("POST", "/items$", marks=pytest.mark.slow),
    ],
)
def test_killed_then_run_again(hub: HubServer, made: dict, tmp_path: Path, method: str, path: str) -> None:
    config = recipe(settings(made, tmp_path / "release"), tmp_path / "release.yaml")
    killed(hub, config, method, path)
    left = json.loads((tmp_path / "release" / REPORT).read_text())
    assert "begun" in [entry["state"] for entry in left["entries"]] and not left["complete"]
    done = command(hub, "--config", config)
    assert done.returncode == 0, done.stderr
    assert "release v1.0: 6 of 6 parts are up (read from the Hub)" in done.stderr
    assert hub.owner_token not in done.stdout + done.stderr
    assert_released(hub)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_a_random_request_then_run_again(hub: HubServer, made: dict, tmp_path: Path, seed: int) -> None:
    with HubServer() as calm:
        push(calm, settings(made, tmp_path / "calm"))
        requests = len(calm.log)
    config = recipe(settings(made, tmp_path / "release"), tmp_path / "release.yaml")
    killed(hub, config, "*", "", random.Random(seed).randrange(requests - 5))
    hub.faults.clear()
    assert command(hub, "--config", config).returncode == 0
    assert_released(hub)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calm", "release", "release.yaml"]
    assert {path.name for path in (tmp_path / "release").rglob("*")} == {
        path.name for path in (tmp_path / "calm").rglob("*")
    }


def test_a_dry_run_tells_all_and_changes_nothing(hub: HubServer, made: dict, tmp_path: Path, capsys) -> None:
    dry = settings(made, tmp_path / "release", push_to_hub=False, public=True)
    push(hub, dry)
    told = capsys.readouterr().err
    assert changes(hub) == [] and not hub.store.repos and not hub.store.collections
    for name, kind in zip(PARTS, ("expansions", "preferences", "adapter", "adapter", "space"), strict=True):
        assert re.search(rf"/{name} \({kind}, new, private\), tag v1.0$", told, re.M), name
    for path in made["candidates"].rglob("*.parquet"):
        inside = path.relative_to(made["candidates"])
        assert re.search(rf"write +{path.stat().st_size:,}  {inside}$", told, re.M), path
    assert told.count("  a new card, ") == 5 and len(told.splitlines()) < 70
    assert f"{TITLE} (collection, new, private)" in told
    assert [line.split()[2] for line in told.splitlines() if line.startswith("  add ")] == list(PARTS)
    assert "--push_to_hub" in told.splitlines()[-1]
    push(hub, replace(dry, push_to_hub=True))
    hub.log.clear()
    capsys.readouterr()
    push(hub, dry)
    told = capsys.readouterr().err
    assert changes(hub) == [] and told.count("up to date, v1.0 is ") == 5 and told.count("  keep    ") == 5
    # The report of what was really done stays.
    assert json.loads((tmp_path / "release" / REPORT).read_text())["complete"]


def test_the_token_shows_nowhere(hub: HubServer, made: dict, tmp_path: Path, capsys) -> None:
    leaky = {"error": f"token {hub.owner_token} is bad"}
    hub.fault("POST", "/api/collections$", status=403, body=leaky, headers={"X-Error-Message": leaky["error"]})
    line = refusal(hub, settings(made, tmp_path / "release"))
    texts = [line, *capsys.readouterr(), (tmp_path / "release" / REPORT).read_text()]
    texts += [content.decode(errors="replace") for repo in repos(hub).values() for content in repo.files().values()]
    assert "is bad" in line and not [text for text in texts if hub.owner_token in text]


# ------------------------------------------------------------------------------------------------- refusals


def other(made: dict, tmp_path: Path, name: str) -> str:
    """A folder like one of the release's, which was made from something else."""
    if name == "pairs":
        return f"{pairs(tmp_path / 'pairs', expansions(tmp_path / 'others', 7))}=pairs"
    if name == "sft":
        return f"{trained(tmp_path / 'sft', 1, expansions=expansions(tmp_path / 'others', 7))}=expander-sft"
    return f"{showing(tmp_path / 'space', trained(tmp_path / 'third', 3, parent=made['sft']))}=demo"


def loading_space(made: dict, tmp_path: Path) -> str:
    folder = space(tmp_path / "space")
    (folder / "space.json").write_text(json.dumps({"model": BASE, "adapter": "kit-owner/expander-dpo"}))
    return f"{folder}=demo"


# Each: what is wrong, given the folders and a place for more; and words of the line.
WRONG = {
    "no such folder": (lambda m, t: {"datasets": [f"{t}/nothing=x"]}, ["--datasets", "nothing: no such folder"]),
    "no Space yet": (
        lambda m, t: {"space": f"{t}/demo/space=x"},
        ["demo/space: no such folder", "space --results", "demo --render_only true makes it"],
    ),
    "no name": (lambda m, t: {"adapters": [str(m["sft"])]}, ["--adapters", "give FOLDER=NAME"]),
    "a name with an owner": (lambda m, t: {"space": f"{m['space']}=you/demo"}, ["--space", "give FOLDER=NAME"]),
    "a name that is none": (lambda m, t: {"space": f"{m['space']}=de mo!"}, ["'kit-owner/de mo!'"]),
    "nothing": (lambda m, t: {"datasets": [], "adapters": [], "space": None}, ["at least one of --datasets"]),
    "a tag that is none": (lambda m, t: {"tag": "no tag!"}, ["--tag 'no tag!'"]),
    "a title too long": (lambda m, t: {"collection": "x" * 61}, ["--collection: 61 characters, the Hub allows 60"]),
    "a description too long": (lambda m, t: {"description": "x" * 151}, ["--description: 151 characters"]),
    "one name twice": (
        lambda m, t: {"datasets": [f"{m['pairs']}=one", f"{m['candidates']}=one"]},
        ["kit-owner/one: twice"],
    ),
    "one folder twice": (
        lambda m, t: {"datasets": [f"{m['candidates']}=a", f"{m['candidates']}=b"]},
        ["candidates: twice in the release"],
    ),
    "a dataset among adapters": (
        lambda m, t: {"datasets": [], "adapters": [f"{m['candidates']}=a"], "space": None},
        ["--adapters", "is a dataset"],
    ),
    "pairs of other expansions": (
        lambda m, t: {"datasets": [f"{m['candidates']}=candidates", other(m, t, "pairs")]},
        ["pairs: was made from other expansions than are in the release (candidates)"],
    ),
    "trained on other data": (
        lambda m, t: {"adapters": [other(m, t, "sft")], "space": None},
        ["sft: was trained on other expansions than are in the release (pairs, candidates)"],
    ),
    "trained on data left out": (
        lambda m, t: {"datasets": [f"{m['candidates']}=candidates"]},
        ["dpo: was trained on other preferences"],
    ),
    "a parent left out": (
        lambda m, t: {"adapters": [f"{m['dpo']}=expander-dpo"]},
        ["dpo: goes on with sft@sha256:", "add its folder"],
    ),
    "a Space of another adapter": (
        lambda m, t: {"space": other(m, t, "space")},
        ["space: carries another adapter than dpo, sft"],
    ),
    "a Space that loads its adapter": (
        lambda m, t: {"space": loading_space(m, t)},
        ["loads its adapter kit-owner/expander-dpo from the Hub, at no fixed revision"],
    ),
    "an output that holds a folder": (
        lambda m, t: {"output_dir": str(m["sft"].parent)},
        ["models: is replaced as a whole, so it cannot hold", "dpo"],
    ),
    "an output within a folder": (lambda m, t: {"output_dir": f"{m['space']}/release"}, ["--output_dir", "lie in it"]),
    "an output of something else": (
        lambda m, t: {"output_dir": str(ROOT / "tests")},
        ["tests: holds files that are no release of this kit"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_release(hub: HubServer, made: dict, tmp_path: Path, name: str) -> None:
    change, words = WRONG[name]
    line = refusal(hub, settings(made, tmp_path / "release", **change(made, tmp_path)))
    assert all(word in line for word in words), line
    assert not hub.store.repos and changes(hub) == []
    assert made["space"].is_dir() and (ROOT / "tests/support/commands.py").is_file()


def unfinished(folder: Path, tmp_path: Path, spoiled: str) -> Path:
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    (copy / spoiled).unlink()
    return copy


@pytest.mark.parametrize(
    ("part", "file"), [("candidates", "README.md"), ("sft", "adapter_model.safetensors"), ("space", "app.py")]
)
def test_an_unfinished_part_stops_all_before_anything_is_changed(
    hub: HubServer, made: dict, tmp_path: Path, part: str, file: str
) -> None:
    folder = unfinished(made[part], tmp_path, file)
    line = refusal(hub, settings({**made, part: folder}, tmp_path / "release"))
    assert str(folder) in line and file in line and changes(hub) == []
    assert not (tmp_path / "release").exists()


def test_a_tag_that_stands_elsewhere_stops_all_before_anything_is_changed(
    hub: HubServer, made: dict, tmp_path: Path
) -> None:
    hub.create_repo("space", "kit-owner/demo", sdk="gradio").tag("v1.0")
    line = refusal(hub, settings(made, tmp_path / "release"))
    assert "/spaces/kit-owner/demo: tag 'v1.0' stands on another version" in line and changes(hub) == []


@pytest.mark.parametrize(
    ("type", "name", "files", "words"),
    [
        ("model", "kit-owner/demo", {}, "is a model on the Hub"),
        ("model", "kit-owner/expander-dpo", {"model.safetensors": b"x"}, "holds a full model"),
        ("dataset", "kit-owner/pairs", {"README.md": b"---\na: [\n---\n"}, "YAML"),
    ],
)
def test_a_repository_in_the_way_stops_all(
    hub: HubServer, made: dict, tmp_path: Path, type: str, name: str, files: dict, words: str
) -> None:
    hub.create_repo(type, name).commit(files)
    assert words in refusal(hub, settings(made, tmp_path / "release")) and changes(hub) == []


def test_who_may_not_write_changes_nothing(hub: HubServer, made: dict, tmp_path: Path) -> None:
    arguments = settings(made, tmp_path / "release")
    line = refusal(hub, arguments, hub.read_token)
    assert line.startswith("expansions kit-owner/candidates: ") and "403" in line and "0 of 6 parts are up" in line
    assert "403" in refusal(hub, replace(arguments, owner=hub.stranger)) and not hub.store.repos


def test_the_command_refuses_in_one_line(hub: HubServer, made: dict, tmp_path: Path) -> None:
    config = recipe(settings(made, tmp_path / "release"), tmp_path / "release.yaml", colour="red")
    assert "colour" in refused(command(hub, "--config", config))
    config = recipe(settings(made, tmp_path / "release"), tmp_path / "release.yaml")
    assert "no access token" in refused(command(hub, "--config", config, token=""))
    assert not hub.store.repos


# ------------------------------------------------------------------------------------------------- the demo


@pytest.fixture(scope="module")
def finished(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small demo with its Space, as if made by committed code."""
    folder = tmp_path_factory.mktemp("release") / "demo"
    shutil.copytree(demo.folder, folder)
    hashes: dict[str, str] = {}
    for name in ("expansions/build.json", "preferences/build.json", *(f"models/{a}/training.json" for a in STAGES)):
        path = folder / name
        before, text = file_hash(path), path.read_text().replace(".dirty", "")
        for old, new in hashes.items():
            text = text.replace(old, new)
        path.write_text(text)
        hashes[before] = file_hash(path)
    done = command_here("-m", "space", "--results", folder, "--adapter", folder / "models/dpo", "--render_only")
    assert done.returncode == 0, done.stderr
    return folder


def demo_release(hub: HubServer, folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
    """The demo's own recipe on folders that lie elsewhere."""
    return command(
        hub,
        *("--config", DATA_RECIPES / "release.yaml", "--owner", hub.owner, "--output_dir", folder.parent / "release"),
        *("--datasets", f"{folder}/expansions=candidates", f"{folder}/preferences=pairs", "--results", folder),
        *("--adapters", *(f"{folder}/models/{stage}=expander-{stage}" for stage in STAGES)),
        *("--space", f"{folder}/space=demo", "--collection", TITLE, *more),
    )


def test_the_demo_is_released_with_cards_of_its_results(hub: HubServer, finished: Path) -> None:
    done = demo_release(hub, finished, "--push_to_hub")
    assert done.returncode == 0, done.stderr
    commits = assert_released(hub)
    for stage in STAGES:
        name = f"kit-owner/expander-{stage}"
        card = hub.repo("model", name).read("README.md").decode()
        assert f"\n# {name}\n" in card and f'PeftModel.from_pretrained(model, "{name}")' in card
        assert read_card(card, "test").data["model-index"][0]["name"] == f"expander-{stage}"
        assert str(finished) not in card
    weights = "adapter_model.safetensors"
    carried = hub.repo("space", "kit-owner/demo").read(f"adapter/{weights}")
    assert carried == hub.repo("model", "kit-owner/expander-dpo").read(weights, commits["kit-owner/expander-dpo"])


def test_results_of_other_weights(hub: HubServer, finished: Path, tmp_path: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    (row,) = (row for row in results["rows"] if row["system"] == "dpo")
    row["identity"]["adapter"] = "dpo@sha256:0000000000000000"
    (tmp_path / "results.json").write_text(json.dumps(results))
    shutil.copy(finished / "per_query.parquet", tmp_path)
    line = refused(demo_release(hub, finished, "--results", tmp_path, "--output_dir", tmp_path / "release"))
    assert f"no results for the weights in {finished / 'models/dpo'}" in line
    assert not (tmp_path / "release").exists() and not hub.log
