from hypothesis import given
from hypothesis import strategies as st

from mnemolite.search.tokens import MAX_TERM, fields, terms
from mnemolite.types import Chunk, Kind


def test_an_identifier_gives_its_parts_and_itself() -> None:
    assert terms("HTTPServer2") == ["http", "server", "2", "httpserver2"]
    assert terms("get_user_by_id") == ["get", "user", "by", "id", "getuserbyid"]
    assert terms("parseXMLFile") == ["parse", "xml", "file", "parsexmlfile"]
    assert terms("__init__") == ["init"]


def test_camel_and_snake_case_meet_in_the_whole_identifier() -> None:
    assert terms("getUserById")[-1] == terms("get_user_by_id")[-1] == "getuserbyid"


def test_kebab_case_is_words() -> None:
    assert terms("retry-with-backoff") == ["retry", "with", "backoff"]


def test_accents_are_folded_and_the_word_is_kept_whole() -> None:
    assert terms("Größe prüfen, café naïve") == ["grosse", "prufen", "cafe", "naive"]
    assert terms("smørrebrød Привет") == ["smørrebrød", "привет"]


def test_a_script_without_spaces_is_found_by_any_two_neighbours() -> None:
    assert terms("你好世界") == ["你好", "好世", "世界"]
    assert terms("世") == ["世"]


def test_hashes_and_base64_are_no_terms() -> None:
    assert terms("a" * (MAX_TERM + 1)) == []


def test_fields_tell_name_path_and_body_apart() -> None:
    chunk = Chunk(
        source=".",
        path="auth/email.py",
        language="python",
        kind=Kind.METHOD,
        name="isValid",
        parent="Email",
        symbols=("isValid", "host"),
        text="return True",
        first_line=1,
        last_line=1,
    )
    found = fields(chunk)
    assert found.name == ["email", "is", "valid", "isvalid", "host"]
    assert found.path == ["auth", "email", "py"]
    assert found.body == ["return", "true"]


@given(st.text())
def test_any_text_gives_terms_that_hold_no_separator(text: str) -> None:
    for term in terms(text):
        assert term
        assert not set(term) & set(" \t\n\"'()*:^-_")
        assert len(term) <= MAX_TERM
