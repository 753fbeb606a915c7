"""Small collections of every kind, written as their publishers write them, whole unless a test spoils them."""

import csv
import io
import json
from pathlib import Path


def jsonl(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def tsv(rows) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


PASSAGES = [(f"p{n}", f"passage number {n} about word{n}") for n in range(6)]


def ms_marco(root: Path) -> Path:
    """MS MARCO passage v1: corpus and topics without headers, train and dev with their qrels, DL 2019."""
    return write(
        root,
        {
            "collection.tsv": tsv(PASSAGES),
            "queries.train.tsv": tsv([("10", 'what is "word0"'), ("11", "where is word1"), ("12", "unjudged")]),
            "queries.dev.small.tsv": tsv([("20", "who is word2")]),
            "qrels.train.tsv": tsv([("10", 0, "p0", 1), ("11", 0, "p1", 1)]),
            "qrels.dev.small.tsv": tsv([("20", 0, "p2", 1)]),
            "msmarco-test2019-queries.tsv": tsv([("30", "when is word3")]),
            "2019qrels-pass.txt": "30 Q0 p3 3\n30 Q0 p4 1\n30 Q0 p5 0\n",
        },
    )


TOPICS = """<top>
<num> Number: 301
<title> international organized crime

<desc> Description:
Identify organizations that participate in international criminal activity.
</top>

<top>
<num>302</num>
<title>poliomyelitis
and post-polio</title>
<narr> none </narr>
</top>
"""


def trec(root: Path) -> Path:
    """A classic test collection: <top> topics, negative and graded judgments, Anserini's JSONL."""
    corpus = [{"id": "d1", "contents": "crime"}, {"id": "d2", "contents": "polio"}, {"id": "d3", "contents": "tennis"}]
    return write(
        root,
        {
            "topics.robust.txt": TOPICS,
            "qrels.robust.txt": "301 0 d1 2\n301 0 d3 -1\n302 0 d2 1\n",
            "corpus.jsonl": jsonl(corpus),
        },
    )


def miracl(root: Path, passages: bool = True) -> Path:
    """MIRACL's folders as they come from the Hub."""
    files = {
        "topics/topics.miracl-v1.0-zh-train.tsv": tsv((f"{n}#0", f"第{n}个问题是什么？") for n in range(40)),
        "topics/topics.miracl-v1.0-zh-dev.tsv": tsv([("d1#0", "复旦大学在哪个城市？")]),
        "topics/topics.miracl-v1.0-zh-test-a.tsv": tsv([("t1#0", "没有评判")]),
        "qrels/qrels.miracl-v1.0-zh-train.tsv": tsv((f"{n}#0", "Q0", f"{n}#1", 1) for n in range(40)),
        "qrels/qrels.miracl-v1.0-zh-dev.tsv": tsv([("d1#0", "Q0", "1#1", 1), ("d1#0", "Q0", "2#1", 0)]),
    }
    if passages:
        rows = [{"docid": f"{n}#1", "title": f"标题{n}", "text": f"正文{n}"} for n in range(40)]
        files["docs-0.jsonl"], files["docs-1.jsonl"] = jsonl(rows[:20]), jsonl(rows[20:])
    return write(root, files)


def dpr(root: Path) -> Path:
    """DPR's files: quoted TSV passages with a header, CSV questions without one, JSON with positive passages."""
    passages = [
        ("1", 'Aaron ("Ahärôn") is a prophet.', "Aaron"),
        ("2", "The capital of France is Paris .", "France"),
        ("3", "PARIS, Texas, is a city.", "Paris, Texas"),
        ("4", "Nothing to see here.", "Nothing"),
    ]
    lines = ["id\ttext\ttitle"]
    for id, text, title in passages:
        lines.append("\t".join([id, f'"{text.replace(chr(34), chr(34) * 2)}"', f'"{title}"']))
    named = [
        {
            "question": "who was aaron",
            "answers": ["a prophet"],
            "positive_ctxs": [{"title": "Aaron", "text": "…", "passage_id": "1"}],
        }
    ]
    return write(
        root,
        {
            "psgs_w100.tsv": "\n".join(lines) + "\n",
            "nq-train.json": json.dumps(named),
            "nq-test.qa.csv": "what is the capital of france\t['Paris']\n"
            'who wrote "it\'s"\t"[""Nobody\'s here"", \'Aarön\']"\n',
        },
    )


CLICKS = [
    ("Red  Shoes", "sku1", 6),
    ("red shoes", "sku2", 3),
    ("RED SHOES", "sku3", 1),
    ("red shoes", "sku4", 0),
    ("blue hat", "sku5", 1),
]


def clicks(root: Path) -> Path:
    """A shop's search log, and its catalogue."""
    log = io.StringIO()
    table = csv.writer(log)
    table.writerow(["query", "document_id", "count"])
    table.writerows(CLICKS)
    things = {n: "red shoes" if n < 5 else "a blue hat" for n in range(1, 8)}
    catalogue = [
        {"id": f"sku{n}", "title": f"item {n}", "text": f"{thing}, number {n}"} for n, thing in things.items()
    ]
    return write(root, {"clicks.csv": log.getvalue(), "corpus.jsonl": jsonl(catalogue)})


def beir(root: Path) -> Path:
    """A BEIR folder."""
    return write(
        root,
        {
            "corpus.jsonl": jsonl({"_id": f"d{n}", "title": f"t{n}", "text": f"text {n}"} for n in range(4)),
            "queries.jsonl": jsonl({"_id": f"q{n}", "text": f"query {n}"} for n in range(4)),
            "qrels/train.tsv": "query-id\tcorpus-id\tscore\nq0\td0\t1\n",
            "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\n",
        },
    )


KINDS = {"beir": beir, "trec": trec, "ms_marco": ms_marco, "miracl": miracl, "dpr": dpr, "clicks": clicks}
