"""Tables of training in rounds, from the content of `rounds.json` and `alternation.json` alone."""

from collections.abc import Callable, Mapping

from builders.artifacts.markdown import Markdown, code, table, text
from builders.grading.comparison import Row, left_out, silence_cells


# What a stage took; of some nobody knows the memory.
SPENT = ("seconds", "peak_mib")


def alternation_table(results: Row) -> str:
    """What each round was worth, together and alone, and what its stages took."""
    rounds: list[Row] = [*results["rounds"], *([results["underway"]] if results.get("underway") else [])]
    best = results["best"] and results["best"]["round"]
    pairs: list[list[str]] = []
    silence = silence_cells([*rounds, *(part for entry in rounds for part in entry.get("alone", {}).values())])
    for entry in rounds:
        number = entry["round"]
        for part, expander, retriever in (("retriever", number - 1, number), ("expander", number, number - 1)):
            if part in entry.get("alone", {}):
                figures = _figures(entry["alone"][part], silence)
                pairs.append([_name(expander), _name(retriever), *figures, f"the {part} alone"])
        if "ndcg_at_10" in entry:
            mark = Markdown("**best pair**") if number == best else ""
            pairs.append([_name(number), _name(number), *_figures(entry, silence), mark])
    lines = [_subject(results, rounds), ""]
    titles = ["expander", "retriever", "plain nDCG@10", "with expansion", "helped", "hurt", *silence, ""]
    lines += table(titles, pairs)
    lines += ["", "helped / hurt: share of queries whose nDCG@10 the expansion raises or lowers, same retriever.", ""]
    counts = [
        f"round {entry['round']}: {entry['triplets']} triplets, {entry['pairs']} pairs"
        for entry in rounds
        if "pairs" in entry
    ]
    if counts:
        lines += [f"{'; '.join(counts)}.", ""]
    stages = [
        [str(one["round"]), one["stage"], *("" if one[key] is None else f"{one[key]:.0f}" for key in SPENT)]
        for one in results["stages"]
    ]
    lines += table(["round", "stage", "seconds", "peak MiB"], stages)
    lines += ["", f"Together {sum(one['seconds'] for one in results['stages']):.0f} s. {NOTE}", ""]
    return "\n".join(lines)


NOTE = "Of an interrupted stage only the run that ended it is counted; answers that were there cost nothing again."


def _subject(results: Row, rounds: list[Row]) -> str:
    name: str = text(results["collection"]["name"])
    queries = next((f"{entry['queries']} " for entry in rounds if "queries" in entry), "")
    name += left_out(results["collection"], "validation")
    return f"{queries}validation queries of {name}, dense retrieval, query formed as {code(results['formation'])}."


def _name(number: int) -> str:
    return f"round {number}" if number else "start"


def _figures(figures: Row, silence: Mapping[str, Callable[[Row], str]]) -> list[str]:
    """The cells of one pair: nDCG@10 without and with expansion, and shares of queries."""
    scores = [f"{figures[name]:.4f}" for name in ("plain_ndcg_at_10", "ndcg_at_10")]
    shares = [f"{100 * figures[name]:.0f} %" for name in ("helped", "hurt")]
    return [*scores, *shares, *(cell(figures) for cell in silence.values())]


def rounds_table(results: Row) -> str:
    """The rounds as Markdown, from the content of `rounds.json` alone."""
    first, silence = results["rounds"][0], silence_cells(results["rounds"])
    titles = ["round", "pairs", "validation nDCG@10", "helped", "hurt", *silence, ""]
    lines = [
        f"{first['queries']} validation queries of {text(results['collection'])}{left_out(results, 'validation')}, "
        f"{text(results['retriever'])}, query formed as {code(results['formation'])}; plain nDCG@10 "
        f"{first['plain_ndcg_at_10']:.4f}.",
        "",
    ]
    rows = []
    for entry in results["rounds"]:
        mark = "best" if entry["adapter"] == results["best"] else ""
        shares = [f"{100 * entry[name]:.0f} %" for name in ("helped", "hurt")]
        shares += [cell(entry) for cell in silence.values()]
        rows.append([str(entry["round"]), str(entry["pairs"]), f"{entry['ndcg_at_10']:.4f}", *shares, mark])
    head, *body = table(titles, rows)
    return "\n".join([*lines, head.removesuffix(" |") + "|", *body, ""])
