"""Take over the last demo's results into the project: JSON and picture here, the table into README.md.

make demo && python benchmarks/record_demo.py
"""

import json
import re
import shutil
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from train.results import markdown_table  # noqa: E402


def main() -> None:
    """Copy and rewrite; fails where README.md lacks the marks."""
    demo, kept = ROOT / "out/demo", ROOT / "benchmarks/results"
    results = json.loads((demo / "results.json").read_text())
    shutil.copyfile(demo / "results.json", kept / "demo.json")
    shutil.copyfile(demo / "ndcg_delta.png", kept / "demo-ndcg-delta.png")
    readme = ROOT / "README.md"
    text, count = re.subn(
        r"(<!-- demo table -->\n).*?(<!-- end of demo table -->)",
        lambda marks: f"{marks[1]}{markdown_table(results)}{marks[2]}",
        readme.read_text(),
        flags=re.DOTALL,
    )
    if count != 1:
        sys.exit("README.md: the marks of the demo table are missing")
    readme.write_text(text)
    print(f"README.md and {kept.relative_to(ROOT)} now show the demo of {results['code_version']}")


if __name__ == "__main__":
    main()
