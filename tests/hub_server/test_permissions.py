"""Who may do what, and what the client makes of a refusal."""

from __future__ import annotations

import json
import re

from tests.hub_server import HubServer
from tests.hub_server.fixtures import raw, run_client


def test_tokens_and_visibility(hub: HubServer) -> None:
    """Who may do what, and which exception class the client makes of the answer."""
    hub.create_repo("model", "kit-owner/public").commit({"a.txt": b"a"})
    hub.create_repo("model", "kit-owner/private", private=True).commit({"a.txt": b"a"})
    gated = hub.create_repo("dataset", "kit-owner/gated")
    gated.commit({"a.txt": b"a"})
    gated.set(gated="manual")
    hub.create_repo("model", "kit-watched/theirs", private=True).commit({"a.txt": b"a"})
    script = """
        from huggingface_hub import CommitOperationAdd
        def upload(id, **kwargs):
            return api.create_commit(id, [CommitOperationAdd("n.txt", b"n")], commit_message="c", **kwargs).oid
        def get(id, **kwargs):
            try:
                return open(api.hf_hub_download(id, "a.txt", force_download=True, **kwargs)).read()
            except ValueError as error:
                raise error.__cause__
        result["whoami"] = name_of(api.whoami)
        result["public"] = name_of(api.repo_info, "kit-owner/public")
        result["private"] = name_of(api.repo_info, "kit-owner/private")
        result["missing"] = name_of(api.repo_info, "kit-owner/missing")
        result["gated info"] = name_of(api.dataset_info, "kit-owner/gated")
        result["gated check"] = name_of(api.auth_check, "kit-owner/gated", repo_type="dataset")
        result["gated file"] = name_of(get, "kit-owner/gated", repo_type="dataset")
        result["private file"] = name_of(get, "kit-owner/private")
        result["upload"] = name_of(upload, "kit-owner/public")
        result["upload private"] = name_of(upload, "kit-owner/private")
        result["proposal"] = name_of(upload, "kit-owner/public", create_pr=True)
        result["tag"] = name_of(api.create_tag, "kit-owner/public", tag="t")
        result["delete"] = name_of(api.delete_repo, "kit-owner/public")
        result["create"] = name_of(api.create_repo, "kit-owner/new-" + who)
        result["create if missing"] = name_of(api.create_repo, "kit-owner/public", exist_ok=True)
        result["create org"] = name_of(api.create_repo, "kit-org/new-" + who)
        result["create watched"] = name_of(api.create_repo, "kit-watched/new")
        result["watched"] = name_of(api.repo_info, "kit-watched/theirs")
        result["watched upload"] = name_of(upload, "kit-watched/theirs")
        result["settings"] = name_of(api.update_repo_settings, "kit-owner/public", private=True)
        """
    classes = {}
    for who, token in {
        "owner": hub.owner_token,
        "reader": hub.read_token,
        "stranger": hub.stranger_token,
        "anonymous": "",
        "forged": "hf_nobodyknowsthistoken",
    }.items():
        steps = script
        if who == "owner":
            # What would change the scene for the others is left out.
            steps = re.sub(r".*result\[.(delete|settings|upload|upload private|tag).\].*\n", "", script)
        result = run_client(hub, steps, token=token, who=who)
        classes[who] = {step: tuple(answer[:2]) if answer[0] != "ok" else "ok" for step, answer in result.items()}
        assert all(value not in json.dumps(result) for value in (hub.owner_token, hub.read_token, hub.stranger_token))

    denied, hidden = ("HfHubHTTPError", 403), ("RepositoryNotFoundError", 404)
    refused = {"missing": hidden, "create watched": denied, "watched upload": denied}
    assert {step: answer for step, answer in classes["owner"].items() if answer != "ok"} == refused

    reader = classes["reader"]
    readable = {"whoami", "public", "private", "gated info", "gated check", "gated file", "private file", "watched"}
    # With `exist_ok` a refused creation of a repository that exists is fine.
    assert {step for step, answer in reader.items() if answer == "ok"} == readable | {"create if missing"}
    assert reader.pop("missing") == hidden
    assert {answer for answer in reader.values() if answer != "ok"} == {denied}

    stranger = classes["stranger"]
    assert {step for step, answer in stranger.items() if answer == "ok"} == {
        "whoami",
        "public",
        "gated info",
        "proposal",
        "create if missing",
    }
    for step in ("private", "missing", "private file", "upload private", "watched", "watched upload"):
        assert stranger[step] == hidden, step
    assert stranger["gated check"] == stranger["gated file"] == ("GatedRepoError", 403)
    for step in ("upload", "tag", "delete", "create", "create org", "settings"):
        assert stranger[step] == denied, step

    anonymous = classes["anonymous"]
    assert {step for step, answer in anonymous.items() if answer == "ok"} == {
        "public",
        "gated info",
        "create if missing",
    }
    assert anonymous["private"] == anonymous["missing"] == ("RepositoryNotFoundError", 401)
    assert anonymous["gated file"] == ("GatedRepoError", 401)
    assert anonymous["upload"] == anonymous["create"] == ("HfHubHTTPError", 401)
    assert {answer[-1] for answer in classes["forged"].values()} == {401}

    view = hub.repo("model", "kit-owner/public")
    assert len(view.commits()) == 2 and set(view.refs) == {"refs/heads/main", "refs/pr/1", "refs/pr/2"}
    hub.accounts.revoke(hub.stranger_token)
    assert raw(hub, "GET", "/api/whoami-v2", Authorization=f"Bearer {hub.stranger_token}").status == 401
