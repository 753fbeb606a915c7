"""The builders' `--push_to_hub`: the same publisher, after the folder is made or found up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.commands import expansions, preferences, references, regrade
from builders.errors import KitError
from tests.hub_server import HubServer
from tests.support.publishing_client import NAME, files_in, titles
from tests.support.rendered_folders import expansions as expansions_folder
from tests.support.rendered_folders import preferences as preferences_folder


STAGES = {
    "expansions": (expansions, "ExpansionsBuild", expansions_folder, []),
    "regrade": (regrade, "RegradeBuild", expansions_folder, ["--expansions", "x", "--retriever", "x"]),
    "references": (references, "ReferencesBuild", expansions_folder, ["--expansions", "x", "--prompt", "x"]),
    "preferences": (preferences, "PreferencesBuild", preferences_folder, ["--expansions", "x"]),
}


@pytest.mark.parametrize("name", STAGES)
def test_push_to_hub(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Only the building is left out. The setting does not count as one of the dataset's."""
    from huggingface_hub import HfApi

    stage, build, render, extra = STAGES[name]
    folder = render(tmp_path / "folder")
    monkeypatch.setattr(getattr(stage, build), "build", lambda self: self.folder)
    # HF_ENDPOINT is read when the library is imported.
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: HfApi(hub.url, hub.owner_token))
    arguments = ["--output_dir", str(folder), *extra]
    stage.main(arguments)
    for wrong in ([], ["--repo_id", "no-owner"]):
        with pytest.raises(KitError, match="--repo_id"):
            stage.main([*arguments, "--push_to_hub", *wrong])
    assert not hub.log
    stage.main([*arguments, "--push_to_hub", "--repo_id", NAME])
    stage.main([*arguments, "--push_to_hub", "--repo_id", NAME])
    assert len(titles(hub, "dataset")) == 2 and set(files_in(folder)) < set(hub.repo("dataset", NAME).tree())
    assert {"push_to_hub", "repo_id"} <= getattr(stage, build).not_settings
