"""Settings are what was written, by whole names and of the right types; a recipe sends and runs nothing by itself."""

from dataclasses import dataclass, field

import pytest

from builders.cli import parse
from builders.commands.expansions import ExpansionsArguments
from builders.errors import KitError
from builders.expanders.load import parse_with_expanders
from train.run_settings import chosen, given
from train.students.validation import ValidationOptions


@dataclass
class Arguments:
    """Settings of all kinds."""

    number: int = 1
    rate: float = 0.5
    cap: float | None = None
    name: str = "a"
    keep: bool = True
    names: list[str] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    either: None | str | list[str] = None
    more: dict[str, int] | str | None = None


def parsed(tmp_path, text: str, *more: str) -> Arguments:
    (tmp_path / "r.yaml").write_text(text)
    return parse(Arguments, ["--config", str(tmp_path / "r.yaml"), *more], "", "")[0]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("number: 3", "number", 3),
        ("rate: 1", "rate", 1),
        ("rate: 1e-4", "rate", 1e-4),  # Text to YAML.
        ("cap:", "cap", None),
        ("keep: no", "keep", False),
        ("keep: 'false'", "keep", False),
        ("names: [a, b]", "names", ["a", "b"]),
        ("names: both", "names", ["both"]),
        ("rates: 0.9", "rates", [0.9]),
        ("either: one", "either", "one"),
        ("either: [one]", "either", ["one"]),
        ("more: {a: 1}", "more", {"a": 1}),
    ],
)
def test_a_recipe_gives_what_it_says(text, name, value, tmp_path):
    assert getattr(parsed(tmp_path, text), name) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number: three", "number: 'three' is not a whole number"),
        ("number: 1.5", "number: 1.5 is not a whole number"),
        ("number: true", "number: True is not a whole number"),
        ("number: [1]", r"number: \[1\] is not a whole number"),
        ("number:", "number: None is not a whole number"),
        ("rate: fast", "rate: 'fast' is not a number"),
        ("rate: .nan", "rate: nan is not a finite number"),
        ("rate: 'nan'", "rate: 'nan' is not a number"),
        ("cap: -.inf", "cap: -inf is not a finite number"),
        ("rates: [0.1, .nan]", "rates: nan is not a finite number"),
        ("more: {a: .inf}", "more: inf is not a finite number"),
        ("name: 1.0", "name: 1.0 is not text; put it in quotes"),
        ("name: {a: b}", "name: {'a': 'b'} is not text"),
        ("keep: 7", "keep: 7 is not true or false"),
        ("names: [1]", r"names: \[1\] is not a list of text"),
        ("rates: [a]", r"rates: \['a'\] is not a list of a number"),
        ("number: 1\nrate: 2\nnumber: 3", "number: stands there twice"),
        ("more: {a: 1, a: 2}", "a: stands there twice"),
        ("1: 2", "a recipe is a YAML mapping"),
        ("[" * 5000, "not valid YAML"),
        ("more: {trust_remote_code: true}", "more: trust_remote_code: the kit runs no code"),
        ("trust_remote_code: true", "trust_remote_code: the kit runs no code"),
        ("hub_token: hf_x", "hub_token: a recipe holds no token"),
        ("nothing: 1", "no such setting: --nothing"),
    ],
)
def test_what_is_not_right_in_a_recipe_is_one_line_with_file_and_key(text, message, tmp_path):
    with pytest.raises(KitError, match=rf"r\.yaml: {message}"):
        parsed(tmp_path, text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num", "3"], "no such option: --num 3"),
        (["--rat", "1"], "no such option: --rat"),
        (["--numbre", "3"], "no such option: --numbre 3; did you mean --number\\?"),
        (["--studnt", "3"], "no such option: --studnt 3; see --help"),
        (["--number", "many"], "invalid int value: 'many'; see --help"),
        (["--rate", "nan"], "--rate nan: give a finite number"),
        (["--rates", "0.1", "inf"], "--rates inf: give a finite number"),
        (["--number"], "expected one argument"),
    ],
)
def test_what_is_not_right_on_the_command_line_is_one_line(arguments, message):
    with pytest.raises(KitError, match=message):
        parse(Arguments, arguments, "", "")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_train", "-5", "must be at least -1"),
        ("num_validation", "-2", "must be at least -1"),
        ("samples", "-1", "must be at least 1"),
        ("max_new_tokens", "0", "must be at least 1"),
        ("temperature", "nan", "give a finite number"),
        ("top_k", "-1", "must be at least 0"),
        ("top_p", "1.5", "must be at most 1"),
        ("seed", "-1", "must be at least 0"),
        ("seed", "4294967296", "must be at most 4294967295"),
    ],
)
def test_numbers_that_make_no_sense_for_a_dataset(name, value, message):
    with pytest.raises(KitError, match=f"--{name} {value}: {message}"):
        parse_with_expanders(ExpansionsArguments, ["--output_dir", "out", f"--{name}", value], "", "")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learning_rate", "nan", "give a finite number"),
        ("learning_rate", "-1.0", "must be at least 0"),
        ("per_device_train_batch_size", "-1", "must be at least 1"),
        ("gradient_accumulation_steps", "0", "must be at least 1"),
        ("max_length", "0", "must be at least 1"),
        ("lora_r", "0", "must be at least 1, the rank of the adapter"),
        ("lora_dropout", "1.5", "must be at most 1"),
        ("validation_steps", "-1", "must be at least 0"),
        ("validation_queries", "-5", "must be at least -1"),
    ],
)
def test_numbers_that_make_no_sense_for_a_training(name, value, message):
    from trl import ModelConfig, SFTConfig

    types = (ValidationOptions, SFTConfig, ModelConfig)
    given_all = ["--output_dir", "out", "--use_cpu", "true", "--bf16", "false", "--use_peft", "true"]
    assert parse(types, given_all, "", "")
    with pytest.raises(KitError, match=f"--{name} {value}: {message}"):
        parse(types, [*given_all, f"--{name}", value], "", "")


def test_what_was_given_is_what_is_recorded(tmp_path):
    (tmp_path / "r.yaml").write_text("rate: 0.25\nnames: [a]")
    argv = ["--config", str(tmp_path / "r.yaml"), "--number=3", "--no_keep"]
    (settings,) = parse(Arguments, argv, "", "")
    assert chosen(settings, given(argv)) == {"keep": False, "names": ["a"], "number": 3, "rate": 0.25}


EVIL = "expander: inference\nbase_url: https://collector.example/v1\napi_key_variable: AWS_SECRET_ACCESS_KEY"


@pytest.mark.parametrize(
    ("text", "more", "refused"),
    [
        (EVIL, [], True),
        (EVIL.replace("https://", "https://localhost@"), [], True),
        (EVIL.replace("collector.example", "127.0.0.1.example"), [], True),
        (EVIL.replace("collector.example", "[::1"), [], True),
        ("expander: inference\nbase_url: https://collector.example/v1", [], True),
        (EVIL, ["--api_key_variable", "ACME_KEY"], False),
        (EVIL, ["--base-url=https://mine.example"], False),
        (EVIL.replace("https://collector.example", "http://127.0.0.1:8000"), [], False),
        (EVIL.replace("https://collector.example", "http://[::1]:8000"), [], False),
        (EVIL.replace("https://collector.example", "http://localhost:8000"), [], False),
    ],
)
def test_a_recipe_names_no_server_by_itself(text, more, refused, tmp_path):
    (tmp_path / "r.yaml").write_text(text)
    arguments = ["--config", str(tmp_path / "r.yaml"), "--output_dir", "out", *more]

    def read():
        return parse_with_expanders(ExpansionsArguments, arguments, "", "")

    if refused:
        with pytest.raises(KitError, match=r"r\.yaml: base_url: a recipe alone sends nothing to"):
            read()
    else:
        assert read().expander == "inference"
