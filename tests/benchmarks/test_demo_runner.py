"""What the runner of the demo reads of the experiment's README, and what it refuses."""

from pathlib import Path

import pytest

from benchmarks.demo import stages
from builders.errors import KitError
from tests.support.commands import command, refused


PAGE = """
```bash
launch="accelerate launch --num_cpu_threads_per_process $(getconf _NPROCESSORS_ONLN)"

# 1/2 data: queries → pairs
python -m builders expansions --formation 'q*5+e' \\
  --output_dir out/demo/expansions

# 2/2 evaluation
$launch train/evaluate.py --output_dir out/demo  # a remark
```
"""


def test_a_page_is_read_as_a_shell_would():
    first, second = stages(PAGE)
    assert (first.title, first.launched) == ("data: queries → pairs", False)
    assert first.words == [
        "-m",
        "builders",
        "expansions",
        "--formation",
        "q*5+e",
        "--output_dir",
        "out/demo/expansions",
    ]
    assert second.words == ["train/evaluate.py", "--output_dir", "out/demo"] and second.launched
    assert (first.folder, second.folder) == (Path("out/demo/expansions"), Path("out/demo"))
    assert first.environment["HF_HUB_OFFLINE"] == "1" and "OMP_NUM_THREADS" in second.environment
    assert "OMP_NUM_THREADS" not in first.environment


def test_a_page_without_stages_and_an_unknown_option_are_refused():
    with pytest.raises(KitError, match="no stages in it"):
        stages("no block")
    assert "no such option: --quick; there is -v" in refused(command("-m", "benchmarks.demo", "--quick"))
