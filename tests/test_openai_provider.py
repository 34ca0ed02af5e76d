import json
import subprocess
import sys
import threading
import time

import jsonschema
import pytest
from openai_server import KEY, MODEL, OpenAIServer

from workbench.errors import ParameterError, ProviderError, install
from workbench.llm import Prompt, Request, Writing, get_provider
from workbench.llm.chunks import number
from workbench.llm.faults import RateLimited, Refused, Rejected, TooLong, Transient, Unreachable

PROMPT = Prompt(name="p", categories=["Pop", "Viajes", "Otros", "Indeterminado"])
REQUEST = Request(PROMPT, number([{"cleanText": "vinil 1"}, {"cleanText": "taxi 2"}]))


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def provider_of(server, **options):
    return get_provider("openai", **{"model": MODEL, "base_url": server.url, **options})


def test_an_answer_comes_with_what_it_has_cost():
    with OpenAIServer() as server:
        provider = provider_of(server)
        provider.complete(REQUEST)
        response = provider.complete(REQUEST)
    assert json.loads(response.text)["results"][1] == [2, ["taxi 2"], "Viajes", 0.9]
    assert not response.truncated
    assert (response.usage.calls, server.peak) == (1, 1)
    assert 0 < response.usage.cached_tokens < response.usage.input_tokens
    assert response.usage.output_tokens > 0


def test_the_prompt_is_the_same_bytes_in_every_call_and_the_items_come_last():
    other = Request(PROMPT, number([{"cleanText": "renta \ud800 ñ"}]))
    with OpenAIServer() as server:
        server.written = "because"
        provider = provider_of(server, temperature=0.0)
        provider.complete(REQUEST)
        provider.write(Writing(PROMPT, (), question="Why?", material="vinil"))
        provider.complete(other)
    first, between, last = [json.dumps(call.body, ensure_ascii=False, separators=(",", ":")) for call in server.calls]
    assert last.startswith(first[: first.index("vinil 1")])
    assert first.endswith('1\\tvinil 1\\n2\\ttaxi 2"}]}') and last.endswith('1\\trenta ? ñ"}]}')
    assert server.calls[0].body["messages"][0] == {"role": "system", "content": PROMPT.render()}
    assert (server.calls[0].body["temperature"], server.calls[0].format) == (0.0, "json_schema")
    assert '"messages":[{"role":"system","content":"Why?"},{"role":"user","content":"vinil"}]' in between


def test_the_schema_has_the_categories_as_an_enum():
    with OpenAIServer() as server:
        provider_of(server).complete(REQUEST)
    form = server.calls[0].body["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    assert '"enum": ["Pop", "Viajes", "Otros", "Indeterminado"]' in json.dumps(form)
    assert "temperature" not in server.calls[0].body


@pytest.mark.parametrize("reason", ["always", "short", "low_confidence", "never"])
def test_the_schema_lets_no_text_through_as_a_category_but_the_categories_whatever_reasons_are_asked_for(reason):
    request = Request(PROMPT, REQUEST.items, reason)
    with OpenAIServer() as server:
        provider = provider_of(server)
        said = provider.complete(request).text
        provider.complete(Request(PROMPT, number([{"cleanText": "renta"}]), reason))
    first, second = (call.body["response_format"] for call in server.calls)
    assert json.dumps(first) == json.dumps(second)
    schema = first["json_schema"]["schema"]
    jsonschema.validate(json.loads(said), schema)
    for wrong in ("Marketing", "pop", "why"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(said.replace('"Pop"', f'"{wrong}"')), schema)


@pytest.mark.parametrize(
    ("formats", "asked"),
    [
        (("json_schema", "json_object", "text"), ["json_schema"]),
        (("json_object", "text"), ["json_schema", "json_object"]),
        (("text",), ["json_schema", "json_object", "text"]),
    ],
)
def test_what_an_endpoint_can_do_is_found_out_once_and_remembered(formats, asked):
    with OpenAIServer(formats=formats) as server:
        provider = provider_of(server)
        for _ in range(2):
            assert json.loads(provider.complete(REQUEST).text)["results"]
    assert [call.format for call in server.calls] == [*asked, asked[-1]]


def test_a_call_that_no_format_saves_teaches_nothing_about_formats():
    with OpenAIServer(faults=lambda call: ["bad_request"] if call.number <= 3 else ()) as server:
        provider = provider_of(server)
        with pytest.raises(Rejected, match="400: Invalid value"):
            provider.complete(REQUEST)
        provider.complete(REQUEST)
    assert [call.format for call in server.calls] == ["json_schema", "json_object", "text", "json_schema"]


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("rate_limited", RateLimited, "429"),
        ("rate_limited_bare", RateLimited, "429"),
        ("server_error", Transient, "500"),
        ("overloaded", Transient, "503"),
        ("conflict", Transient, "409"),
        ("cut", Unreachable, "cannot be reached"),
        ("html", Unreachable, "did not answer in JSON"),
        ("not_a_completion", Unreachable, "something other than an answer"),
        ("too_long", TooLong, "8192"),
        ("too_large", TooLong, "413"),
        ("filtered", Refused, "content management policy"),
        ("refusal", Refused, "the model refused: I cannot help with that"),
        ("content_filter", Refused, "content filter"),
    ],
)
def test_a_fault_of_one_call_is_mapped_by_what_can_be_done_about_it(fault, kind, said):
    with OpenAIServer(faults={1: [fault]}) as server:
        provider = provider_of(server)
        with pytest.raises(kind, match=said) as caught:
            provider.complete(REQUEST)
        assert type(caught.value) is kind
        assert provider.complete(REQUEST).text
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("unauthorized", "does not accept the key in the environment variable OPENAI_API_KEY"),
        ("forbidden", "forbids the use of 'test-model': Your country"),
        ("unknown_model", "does not know the model 'test-model'"),
        ("quota", "out of quota: You exceeded your current quota"),
    ],
)
def test_what_stops_every_call_is_one_clear_sentence(fault, said):
    with OpenAIServer(faults={1: [fault]}) as server, pytest.raises(ProviderError, match=said) as caught:
        provider_of(server).complete(REQUEST)
    assert type(caught.value) is ProviderError
    assert KEY not in str(caught.value)


def test_an_address_that_lacks_its_end_is_not_told_as_an_unknown_model():
    with (
        OpenAIServer() as server,
        pytest.raises(ProviderError, match="answers no calls: Unknown path") as caught,
    ):
        provider_of(server, base_url=server.url.removesuffix("/v1")).complete(REQUEST)
    assert "classify.base_url; it often ends in /v1" in caught.value.hint


def test_a_wait_is_read_in_seconds_and_in_milliseconds():
    waits = []
    with OpenAIServer(faults={1: ["rate_limited"], 2: ["rate_limited_ms"], 3: ["rate_limited_bare"]}) as server:
        provider = provider_of(server)
        for _ in range(3):
            with pytest.raises(RateLimited) as caught:
                provider.complete(REQUEST)
            waits.append(caught.value.wait)
    assert waits == [0.05, 0.04, None]


@pytest.mark.parametrize("fault", ["hang", "slow_headers"])
def test_an_endpoint_that_does_not_answer_is_given_up(fault):
    with OpenAIServer(faults={1: [fault]}) as server:
        provider = provider_of(server, timeout=0.3)
        started = time.monotonic()
        with pytest.raises(Transient, match="did not answer in time"):
            provider.complete(REQUEST)
        assert time.monotonic() - started < 2
        assert provider.complete(REQUEST).text


def test_an_endpoint_that_is_not_there_is_named():
    with OpenAIServer() as server:
        url = server.url
    with pytest.raises(Unreachable, match=f"{url} cannot be reached"):
        get_provider("openai", model=MODEL, base_url=url).complete(REQUEST)


def test_an_address_without_its_scheme_is_refused_before_anything_is_sent():
    with pytest.raises(ParameterError, match="'localhost:11434/v1' has no http:// or https://"):
        get_provider("openai", model=MODEL, base_url="localhost:11434/v1")


def test_an_answer_that_was_cut_at_the_length_limit_says_so():
    with OpenAIServer(faults={1: ["truncated"]}) as server:
        assert provider_of(server).complete(REQUEST).truncated


def test_an_endpoint_that_says_no_usage_is_estimated():
    with OpenAIServer(faults={1: ["no_usage"]}) as server:
        usage = provider_of(server).complete(REQUEST).usage
    assert (usage.calls, usage.cached_tokens) == (1, 0)
    assert usage.input_tokens > len(PROMPT.render()) / 5
    assert usage.output_tokens > 10


def test_a_wrong_key_a_missing_key_and_no_key_at_all(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv("OTHER_KEY", "sk-secret")
        with pytest.raises(
            ProviderError, match="does not accept the key in the environment variable OTHER_KEY"
        ) as wrong:
            provider_of(server, api_key_env="OTHER_KEY").complete(REQUEST)
        assert "sk-secret" not in repr(wrong.value)
        assert provider_of(server, api_key_env="NOT_SET").complete(REQUEST).text  # as Ollama: an address, no key
    with pytest.raises(ParameterError, match="the environment variable NOT_SET is not set"):
        get_provider("openai", model=MODEL, api_key_env="NOT_SET")


def test_the_fingerprint_covers_endpoint_model_and_temperature_and_no_secret():
    def made(**options):
        return get_provider("openai", **{"model": "m", "base_url": "http://u:pw@h/v1?k=1", **options}).fingerprint

    same, other = made(), [made(model="n"), made(base_url="http://h/v2"), made(temperature=0.0)]
    assert same == made(timeout=1.0)
    assert len({same, *other}) == 4
    assert "pw" not in same and "k=1" not in same


def test_calls_from_several_threads_are_in_flight_together():
    with OpenAIServer(delay=0.2) as server:
        provider = provider_of(server)
        threads = [threading.Thread(target=provider.complete, args=(REQUEST,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.peak == 8


def test_without_the_extra_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules['openai'] = None\n"
        "from workbench.llm import get_provider\n"
        "from workbench.errors import MissingExtra\n"
        "try: get_provider('openai', model='m')\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert install("openai") in done.stdout
