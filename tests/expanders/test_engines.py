"""Engines of local generation: the same answers however the work is cut, and the engine's name with what it wrote."""

import importlib.util
import json
import subprocess
import sys

import pytest

from builders.errors import KitError
from builders.expanders.engines import fastest_dtype, load
from builders.expanders.engines.generation_engine import LocalModel
from builders.expanders.engines.openvino_engine import OpenVINOEngine
from builders.expanders.engines.transformers_engine import TransformersEngine
from builders.expanders.expander import Request, Sampling, greedy
from builders.expanders.local import LocalExpander
from builders.exporting.merged import merged_weights
from tests.support.commands import command_here, refused
from tests.support.tiny_student import LINES, base_model, student
from tests.support.word_collection import word_collection


OPENVINO = OpenVINOEngine.name
INSTALLED = importlib.util.find_spec("openvino_genai") is not None
needs_openvino = pytest.mark.skipif(not INSTALLED, reason="openvino_genai is not installed: the extra openvino")
ENGINES = [pytest.param(OPENVINO, marks=needs_openvino), TransformersEngine.name]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("engines") / "base")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def asked(samples=1):
    return [Request(line, ({"role": "user", "content": line},), samples) for line in LINES]


@pytest.mark.parametrize("engine", ENGINES)
def test_answers_depend_on_nothing_that_went_before(base, engine):
    sampling = Sampling(temperature=0.9, top_p=0.9, top_k=20, max_new_tokens=8, seed=3)
    expander = LocalExpander(str(base), engine=engine, block=6)
    whole = dict(expander.expand(asked(3), sampling))
    assert set(whole) == set(LINES) and all(len(answers) == 3 for answers in whole.values())
    assert any(len(set(answers)) > 1 for answers in whole.values())
    first, last = expander.blocks(asked(3))
    fresh = LocalExpander(str(base), engine=engine, block=6)
    rest = dict(fresh.expand(asked(3), sampling, done={request.key for request in first}))
    assert rest == {request.key: whole[request.key] for request in last}
    assert dict(fresh.expand(asked(3), sampling)) == whole
    other = Sampling(**{**vars(sampling), "seed": 4})
    assert dict(fresh.expand(asked(3), other)) != whole
    # Greedy answers to one question are all the same.
    twice = dict(fresh.expand(asked(2), greedy(6)))
    assert all(one == two for one, two in twice.values())


def prompts(expander):
    """Token ids of what is asked."""
    words = expander.tokenizer
    conversations = [list(request.messages) for request in asked()]
    return words.apply_chat_template(conversations, add_generation_prompt=True, return_dict=True)["input_ids"]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_ends_with_its_end_token(base, engine):
    """Those that end by themselves count the end token; the others have as many tokens as they may."""
    sampling = Sampling(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=60, seed=0)
    expander = LocalExpander(str(base), engine=engine, dtype="auto")
    found = [one for _, answers in expander.expand(asked(16), sampling) for one in answers]
    stopped = [one for one in found if one.finish_reason == "stop"]
    assert stopped and all(one.completion_tokens <= 60 for one in stopped)
    assert all(one.completion_tokens == 60 for one in found if one.finish_reason == "length")
    assert not any("<|im_end|>" in one.text for one in found)
    told = {key: answers[0].prompt_tokens for key, answers in expander.expand(asked(), greedy(1))}
    assert told == {line: len(ids) for line, ids in zip(LINES, prompts(expander), strict=True)}


def test_greedy_answers_are_those_of_plain_generate(base):
    import torch

    expander = LocalExpander(str(base), engine="transformers", dtype="float32")
    found = expander.engine.generate(prompts(expander), 1, greedy(12), {2}, 0)
    for ids, answers in zip(prompts(expander), found, strict=True):
        with torch.inference_mode():
            output = expander.engine.model.generate(
                torch.tensor([ids]), do_sample=False, max_new_tokens=12, pad_token_id=0
            )
        expected = output[0, len(ids) :].tolist()
        assert answers[0][: len(expected)] == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_every_setting_of_sampling_counts(base, engine):
    """Each of them alone leaves nothing but the likeliest token."""
    expander = LocalExpander(str(base), engine=engine)
    likeliest = {key: [answers[0].text] * 4 for key, answers in expander.expand(asked(4), greedy(6))}
    usual = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 6, "seed": 0}
    drawn = []
    for setting in ({}, {"temperature": 0.001}, {"top_p": 1e-6}, {"top_k": 1}):
        found = expander.expand(asked(4), Sampling(**usual | setting))
        drawn.append({key: [one.text for one in answers] for key, answers in found} == likeliest)
    assert drawn == [False, True, True, True]


@pytest.mark.parametrize("engine", ENGINES)
def test_candidates_are_drawn_by_what_the_model_says(base, engine):
    """Shares of the first token among many candidates, against the model's own probabilities."""
    import torch

    expander = LocalExpander(str(base), engine=engine, dtype="auto" if engine == OPENVINO else "float32")
    ids = prompts(expander)[0]
    with torch.inference_mode():
        logits = merged_weights(expander.engine.local.checkpoint, None)(torch.tensor([ids])).logits[0, -1]
    likeliest, tokens = logits.topk(5)
    expected = torch.zeros_like(logits).scatter(0, tokens, likeliest.softmax(0))
    sampling = Sampling(temperature=1.0, top_p=1.0, top_k=5, max_new_tokens=1, seed=0)
    found = expander.engine.generate([ids], 2000, sampling, {2}, 1)[0]
    written = torch.tensor([token for answer in found for token in answer])
    shares = torch.bincount(written, minlength=len(logits)) / len(found)
    assert (shares - expected).abs().max() < 0.05


def test_blocks_are_of_sequences_and_as_large_as_suits_the_engine(base):
    requests = [Request(str(n), ({"role": "user", "content": "word"},), 50) for n in range(12)]
    for block, sizes in ((None, [1] * 12), (200, [4, 4, 4])):
        expander = LocalExpander(str(base), engine="transformers", block=block)
        assert [len(one) for one in expander.blocks(requests)] == sizes


def test_what_was_recorded_before_there_were_engines_is_of_transformers(base):
    """The names of logs are made of the settings: another key, and answers would be asked for again."""
    local = LocalExpander(str(base), dtype="float32")
    assert local.settings == {"dtype": "float32", "load_in_4bit": False, "block": 32}
    assert isinstance(local.engine, TransformersEngine)


@needs_openvino
def test_openvino_is_recorded_with_what_it_wrote(base):
    local = LocalExpander(str(base))
    assert isinstance(local.engine, OpenVINOEngine)
    assert local.settings == {
        "dtype": "auto", "load_in_4bit": False, "engine": "openvino", "weights": "q8_0", "block": OpenVINOEngine.block
    }  # fmt: skip


@needs_openvino
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_openvino_writes_what_the_adapter_writes(tmp_path, architecture, capfd):
    """Its first tokens are the likeliest, but for what 8 bits round: of the base, and of the student. No bars."""
    import torch

    base = base_model(tmp_path / "base", architecture)
    adapter = str(student(tmp_path / "student", base))
    written = []
    for one in (None, adapter):
        capfd.readouterr()
        local = LocalExpander(str(base), one, engine="openvino")
        found = [answers[0][0] for answers in local.engine.generate(prompts(local), 1, greedy(1), {2}, 0)]
        assert "%|" not in capfd.readouterr().err
        weights = merged_weights(local.engine.local.checkpoint, one)
        for ids, token in zip(prompts(local), found, strict=True):
            with torch.inference_mode():
                logits = weights(torch.tensor([ids])).logits[0, -1]
            assert logits[token] > logits.max() - 0.3
        written.append(found)
    assert written[0] != written[1]


@needs_openvino
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"dtype": "float32"}, "float32 is an arithmetic of transformers; give --dtype auto"),
        ({"load_in_4bit": True}, "it has no NF4"),
        ({"architecture": "gpt_neox"}, "architecture 'gpt_neox'; a GGUF file is written for llama and qwen3"),
        ({"intermediate_size": 100}, "rows that are no multiples of 32"),
    ],
)
def test_what_openvino_cannot_run_transformers_runs(tmp_path, settings, reason):
    shape = {key: value for key, value in settings.items() if key in ("architecture", "intermediate_size")}
    base = base_model(tmp_path / "base", **shape)
    told = {key: value for key, value in settings.items() if key not in shape}
    with pytest.raises(KitError, match=f"^--engine openvino: .*{reason}"):
        LocalExpander(str(base), engine="openvino", **told)
    assert isinstance(LocalExpander(str(base), **told).engine, TransformersEngine)


def test_a_missing_engine_is_named_with_the_command_that_installs_it(base, monkeypatch, tmp_path, capfd):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "openvino_genai" else find(name, *rest)
    )
    word_collection(tmp_path / "words", 4)
    given = ("-m", "builders", "expansions", "--model", base, "--collection", tmp_path / "words")
    given += ("--output_dir", tmp_path / "out", "--engine")
    message = refused(command_here(*given, "openvino"))
    assert message.endswith(
        "--engine openvino: openvino_genai is missing: pip install 'query-expansion-kit[openvino]'"
    )
    assert refused(command_here(*given, "vllm")).endswith("unknown --engine 'vllm': give auto, openvino, transformers")
    capfd.readouterr()
    assert isinstance(LocalExpander(str(base)).engine, TransformersEngine)
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "out").exists()


STOPPED = """
import gc, signal, sys
from builders.expanders.expander import Request, greedy
from builders.expanders.local import LocalExpander

expander = LocalExpander(sys.argv[1], engine="openvino")
asked = [Request("a", ({"role": "user", "content": "hello"},), 1)]
assert list(expander.expand(asked, greedy(2)))
if sys.argv[2] == "gone":
    del expander
    gc.collect()
try:
    # Whoever was started in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("stopped")
"""


@needs_openvino
@pytest.mark.parametrize("pipeline", ["there", "gone"])
def test_ctrl_c_is_no_crash(base, pipeline):
    ended = subprocess.run([sys.executable, "-c", STOPPED, base, pipeline], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split()) == (0, ["stopped"]), ended.stderr


def test_an_engine_goes_in_silence_with_the_interpreter(monkeypatch):
    """Whose modules are emptied by then."""
    engine = object.__new__(OpenVINOEngine)
    with monkeypatch.context() as patch:
        patch.setattr("builders.expanders.engines.openvino_engine.own_signal_stack", None)
        engine.__del__()


def test_the_dtype_is_measured_once_a_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(tmp_path))
    fastest_dtype.fastest_dtype.cache_clear()
    chosen = fastest_dtype.fastest_dtype()
    (kept,) = (tmp_path / "dtype").glob("*.json")
    found = json.loads(kept.read_text())
    worth_it = found["seconds"]["float32"] >= fastest_dtype.WORTH_IT * found["seconds"]["bfloat16"]
    assert chosen == found["dtype"] == ("bfloat16" if worth_it else "float32")
    other = {"float32": "bfloat16", "bfloat16": "float32"}[chosen]
    kept.write_text(json.dumps(found | {"dtype": other}))
    fastest_dtype.fastest_dtype.cache_clear()
    assert fastest_dtype.fastest_dtype() == other
    fastest_dtype.fastest_dtype.cache_clear()


def test_an_engine_comes_from_outside_by_one_line(base, monkeypatch):
    """What somebody writes who has an engine of their own."""

    class Echo(TransformersEngine):
        """Answers with the prompt's first tokens."""

        name = "echo"

        @property
        def settings(self):
            return {"engine": self.name}

        @property
        def end_tokens(self):
            return {2}

        def load(self):
            pass

        def generate(self, prompts, samples, sampling, ends, seed):
            return [[list(ids[: sampling.max_new_tokens])] * samples for ids in prompts]

    monkeypatch.setattr(load, "ENGINES", (Echo, *load.ENGINES))
    local = LocalExpander(str(base))
    assert local.settings == {"engine": "echo", "block": 32}
    found = dict(local.expand(asked(2), greedy(9)))
    for request, ids in zip(asked(), prompts(local), strict=True):
        text = local.tokenizer.decode(ids[:9], skip_special_tokens=True)
        assert [one.text for one in found[request.key]] == [" ".join(text.split())] * 2
    with pytest.raises(KitError, match="give auto, echo, openvino, transformers"):
        load.load_engine("none", LocalModel(None, None, "auto", False))
