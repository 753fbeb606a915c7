"""The phrases with which models begin, or refuse, instead of answering: regular expressions by language."""

PREAMBLES = {
    "en": (
        r"^(sure|certainly|of course|absolutely)\b",
        r"^(here|below) (is|are)\b",
        r"^here['’]s\b",
        r"^to (answer|address|expand|evaluate|assess)\b.{0,24}\b(question|query|statement|claim|task)\b",
        r"^based on (your|my|(the )?((provided|given|available|above|following) )?"
        r"(information|passage|context|query|question|document|text|knowledge))\b",
    ),
    "zh": (
        r"^(好的|好|当然可以|当然|没问题|可以)[,，。.!！:：]",
        r"^(以下|下面|这)是",
        r"^(根据|按照|针对)[您你]的",
    ),
}

REFUSALS = {
    "en": (
        r"\bas an? (ai|artificial intelligence|(large )?language model)\b",
        r"\bi['’]?( a)?m (sorry|unable|not able)\b",
        r"\bi (can['’]t|cannot|can not) (access|answer|assist|comply|fulfil|help|provide|verify|write)",
        r"\bi (don['’]t|do not) have (access|enough|any|the)\b",
        r"\b(passage|document|context|text|query|question) (does not|doesn['’]t) (contain|provide|specify|include)\b",
        r"\bplease (provide|clarify|specify|share|give) (me |us )?(more|the|your|additional|further|some)\b",
        r"^(could|can|would) you (please )?(provide|clarify|specify|share|give|tell)\b",
    ),
    "zh": (
        r"作为(一个|一名|一款)?(AI|人工智能|(大型?)?语言模型)",
        r"^(非常|很|十分)?(抱歉|对不起)",
        r"我(无法|不能|没有办法)(回答|提供|协助|帮助|满足|完成|确定|访问)",
    ),
}
