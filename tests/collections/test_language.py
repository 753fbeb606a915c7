"""The language that is guessed, stated in three letters, or told with a remark."""

import pytest

from builders.collections.files.language import guess_language, long_codes
from builders.collections.files.metadata import check_language
from builders.collections.load import load_collection
from builders.errors import KitError
from tests.support.collection_folders import beir, jsonl


GERMAN = "Der Container wird mit dem Befehl docker restart neu gestartet und ist dann nicht mehr im Cluster."
FRENCH = "Le serveur est dans la salle des machines et pour que il soit"


@pytest.mark.parametrize(
    ("language", "queries", "documents"),
    [
        # Mostly Latin names, as users of Greek and Chinese software write.
        ("el", ["Πώς εγκαθιστώ Docker Desktop Windows 11", "Kubernetes pod CrashLoopBackOff τι σημαίνει"], []),
        ("zh", ["PyTorch Lightning 2.0 GPU 训练", "Docker compose 如何 restart container"], ["In English"]),
        ("el", ["Docker Desktop", "Windows 11"], ["Το Docker Desktop είναι ένα πρόγραμμα για Windows"]),
        ("de", ["Docker Container neu starten", "Python pandas DataFrame"], [GERMAN]),
        ("en", ["Docker container restart", "α and β particles", "Le Corbusier"], ["the houses of Paris, la Ville"]),
        ("en", ["what is 机器学习", "where is it", "who was he"], ["This is the one."]),
        ("en", ["42"], []),
        ("fr", ["comment installer docker sous windows"], [FRENCH]),
        ("fa", ["پایتخت ایران کجاست", "چگونه کتاب بخوانیم"], []),
        ("ar", ["ما هي عاصمة مصر", "كيف أقرأ الكتاب"], []),
        ("hi", ["भारत की राजधानी क्या है"], []),
        ("uk", ["Де знаходиться Київ і що їсти"], []),
        ("ru", ["Где находится Москва"], []),
        ("he", ["איפה נמצאת ירושלים"], []),
        ("th", ["กรุงเทพอยู่ที่ไหน"], []),
        ("ta", ["இந்தியாவின் தலைநகரம் எது"], []),
        ("ka", ["სად არის თბილისი"], []),
        ("ja", ["東京都庁", "京都はどこですか"], []),
        ("ko", ["이 책 Docker 설치 방법"], []),
        ("pl", ["jak zainstalować docker"], ["Serwer nie jest w sali i dane są do sieci dla użytkowników"]),
        (
            "vi",
            ["làm thế nào để cài đặt"],
            ["Máy chủ của tôi là một trong những máy có dữ liệu được lưu"],
        ),
    ],
)
def test_scripts_and_function_words(language, queries, documents):
    assert guess_language(queries, documents) == language


def test_a_guess_is_told_and_what_is_stated_is_not(tmp_path):
    folder = beir(tmp_path / "one")
    (folder / "corpus.jsonl").write_text(jsonl({"_id": f"d{n}", "text": GERMAN} for n in range(4)))
    found = load_collection(str(folder))
    assert found.language == "de"
    assert [remark for remark in found.remarks if "language" in remark] == [
        "one: its texts seem to be in 'de'; if they are not, say so with --language"
    ]
    (folder / "collection.yaml").write_text("language: deu\n")
    found = load_collection(str(folder))
    assert found.language == "de" and not found.remarks
    assert load_collection(str(folder), "fra").language == "fr"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("deu", "de"),
        ("ger", "de"),
        ("zho", "zh"),
        ("zho-Hans", "zh"),
        ("eng-Latn", "en"),
        ("en-US", "en"),
        ("sv", "sv"),
    ],
)
def test_codes_of_three_letters(given, code):
    assert check_language(given, "here") == code


@pytest.mark.parametrize("given", ["german", "multilingual", "zzz", "d"])
def test_what_is_no_code(given):
    with pytest.raises(KitError, match=f"here: '{given}' is not a language"):
        check_language(given, "here")


def test_long_codes():
    assert long_codes("zh") == ("cmn", "zho", "chi") and long_codes("xx") == ()


def test_words_that_english_shares_with_others_are_no_evidence():
    """`a` is a Czech, Portuguese and Hungarian word, too: many of it in few English words say nothing."""
    assert (
        guess_language(["a cat", "a dog", "a bird", "no bird"], ["a cat sleeps", "a dog barks", "a bird sings"])
        == "en"
    )
