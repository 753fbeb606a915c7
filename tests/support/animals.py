"""A collection whose queries name a mark and whose documents name the animal that has it: what a fit must find."""

from builders.collections.collection import Collection, Document, Query


ANIMALS = {"stripes": "zebras", "neck": "giraffes", "trunk": "elephants", "mane": "lions", "hump": "camels"}
HERDS = {"zebras": "dazzle", "giraffes": "tower", "elephants": "parade", "lions": "pride", "camels": "caravan"}
PLACES = ("savanna", "desert", "river", "forest", "valley", "mountain", "island", "swamp")


def animals_collection() -> Collection:
    """Queries name a mark, documents name the animal that has it; one query's mark is known from nowhere else."""
    documents, queries, qrels = [], {}, {}

    def add(name, asked, animal, place, split):
        documents.append(
            Document(f"d{name}", "", f"{animal} live near the {place} and {animal} graze, a {HERDS[animal]}")
        )
        queries[f"q{name}"] = Query(f"q{name}", asked, split)
        qrels[f"q{name}"] = {f"d{name}": 2}

    for mark, animal in ANIMALS.items():
        for number, place in enumerate(PLACES):
            split = "test" if number == len(PLACES) - 1 else "train"
            add(f"{mark}{number}", f"which have {mark} at the {place}", animal, place, split)
    for number in range(6):  # Unicorns are in documents enough, but no query leads to them save one.
        documents.append(Document(f"u{number}", "", "unicorns are shy"))
    queries["qhorn"] = Query("qhorn", "which have a horn", "train")
    qrels["qhorn"] = {"u0": 2}
    queries["qother"] = Query("qother", "which have a horn", "test")
    qrels["qother"] = {"u1": 2}
    return Collection("animals", "en", documents, queries, qrels, "made up", "CC0-1.0", "made up")
