"""Analysis in other languages than English, and what it does to formed queries."""

import importlib.util

import pytest

from builders.collections.collection import Collection, Document
from builders.errors import KitError
from builders.retrievers.analysis.load import analyzer_for
from builders.retrievers.analysis.snowball import STEMMERS
from builders.retrievers.bm25s_index import Bm25sRetriever
from builders.retrievers.formulation import Adaptive, load_formulation


needs_jieba = pytest.mark.skipif(importlib.util.find_spec("jieba") is None, reason="the extra chinese is missing")


def sample(texts, language):
    documents = [Document(key, key, text) for key, text in texts.items()]
    return Collection("sample", language, documents, {}, {}, "test", "none", "none", index_title=False)


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("de", "Die Häuser der Straßen", ["haus", "strass"]),
        ("fr", "L'avion n'était pas à l’école", ["avion", "écol"]),
        ("es", "los gatos corrían", ["gat", "corr"]),
        ("it", "dell'aria pulita", ["ari", "pul"]),
        ("pt", "as casas brancas", ["cas", "branc"]),
        ("nl", "de katten lopen", ["kat", "loop"]),
        ("sv", "husen och katterna", ["hus", "katt"]),
        ("ru", "ёлки в лесах", ["елк", "лес"]),
        ("tr", "İstanbul'da IŞIK", ["istanbul", "ışık"]),  # the capital of i is İ, that of ı is I
        ("hi", "हिन्दी भाषा की किताबें", ["हिन्द", "भाष", "क", "किताब"]),  # vowel signs belong to their letters
        ("ar", "الكتب الكِتَابُ", ["كتب", "كتاب"]),
        ("fi", "talojen katot", ["talo", "kato"]),
        ("id", "membaca buku-buku", ["baca", "buku", "buku"]),
    ],
)
def test_terms(language, text, terms):
    assert analyzer_for(language)(text) == terms


def test_every_stemmer_is_there():
    import Stemmer

    assert set(STEMMERS.values()) <= set(Stemmer.algorithms())


@needs_jieba
@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("什么是机器学习？", ["什么", "是", "机器", "学习"]),
        ("《红楼梦》的作者是谁", ["红楼梦", "的", "作者", "是", "谁"]),
        ("PyTorch 2.0的ＧＰＵ加速", ["pytorch", "2", "0", "的", "gpu", "加速"]),
        ("光荣和ω-force开发了《战国无双3》", ["光荣", "和", "ω", "force", "开发", "了", "战国", "无双", "3"]),
        ("the 模型 and the MODEL", ["模型", "model"]),
        ("，。！…", []),
    ],
)
def test_chinese_terms(text, terms):
    assert analyzer_for("zh")(text) == terms


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        # What pyserini 1.6's CJKAnalyzer gives.
        ("ja", "京都はどこ？", ["京都", "都は", "はど", "どこ"]),
        ("ja", "サッカーのＦＩＦＡ 2018年", ["サッ", "ッカ", "カー", "ーの", "fifa", "2018", "年"]),
        ("ja", "the 東京・大阪 Tower and ﾊﾝｶｸ", ["東京", "大阪", "tower", "ハン", "ンカ", "カク"]),
        ("ja", "𠮷野家 3.5インチ don't", ["𠮷野", "野家", "3.5", "イン", "ンチ", "don't"]),
        ("ko", "서울은 어디에", ["서울", "울은", "어디", "디에"]),
        # By hand: a vowel sign or tone belongs to its letter.
        ("th", "อยู่ที่ไหน BTS", ["อยู่", "ยู่ที่", "ที่ไ", "ไห", "หน", "bts"]),
    ],
)
def test_pairs_of_characters(language, text, terms):
    assert analyzer_for(language)(text) == terms


@needs_jieba
def test_adaptive_repeats_count_chinese_words():
    index = Bm25sRetriever(sample({"a": "机器学习", "b": "长城"}, "zh"))
    # Counted by hand, words parted by |.
    query = "什么|是|机器|学习|？"  # 4 words
    short = "机器|学习|是|人工智能|的|一个|分支|，|研究|计算机|怎样|模拟|人类|的|学习|。"  # 14 words
    long = f"{short}长城|有|多长|？|《|红楼梦|》|的|作者|是|谁|？"  # 14 + 3 + 5 = 22 words
    for marked, words in ((query, 4), (short, 14), (long, 22)):
        assert len(index.terms(marked.replace("|", ""))) == words
    bare = {name: text.replace("|", "") for name, text in (("query", query), ("short", short), ("long", long))}
    for expansions, repeats in [
        ([bare["short"]], 1),  # ⌊14 / 12⌋
        ([bare["long"]], 1),  # ⌊22 / 12⌋
        ([bare["short"], bare["short"]], 2),  # ⌊28 / 12⌋
        ([bare["long"], bare["short"]], 3),  # ⌊36 / 12⌋
        ([bare["long"]] * 6, 11),  # ⌊132 / 12⌋
    ]:
        assert Adaptive.repeats(index, bare["query"], expansions) == repeats
        text = " ".join([bare["query"]] * repeats + expansions)
        found = load_formulation("q*adaptive+e").search(index, [(bare["query"], expansions)], 5)
        assert found == index.search([text], 5)
    # Words between spaces would be 1 to 1: never more than one repeat.
    assert [len(text.split()) for text in bare.values()] == [1, 1, 1]


@needs_jieba
def test_chinese_search():
    index = Bm25sRetriever(sample({"a": "机器学习是人工智能的一个分支", "b": "机器零件的学习资料", "c": "长城"}, "zh"))
    assert index.name == "bm25s(k1=0.9,b=0.4,analyzer=zh-1)"
    [hits, none] = index.search(["人工智能", "ＡＩ"], 5)
    assert [hit.document_id for hit in hits] == ["a"] and none == []


def test_languages_without_an_analyzer(monkeypatch):
    with pytest.raises(KitError, match="'bn'.*supported are en, zh, ar.*pyserini has others"):
        analyzer_for("bn")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    analyzer_for.cache_clear()
    with pytest.raises(KitError, match=r"Chinese needs jieba.*pip install 'query-expansion-kit\[chinese\]'"):
        analyzer_for("zh")
