import pytest

from services.accounts.addresses import PostalAddress, check_address_format
from services.accounts.validation import ValidationError, normalize_phone, validate_email
from services.notifications.deliverability import is_deliverable


@pytest.mark.parametrize("email", ["ana@hazel.example", "o'neil+shop@mail.example", "a.b@sub.domain.example"])
def test_validate_email_accepts(email):
    assert validate_email(email) == email


@pytest.mark.parametrize("email", ["", "ana", "ana@", "@hazel.example", ".ana@hazel.example", "ana@localhost", "a b@c.d"])
def test_validate_email_rejects(email):
    with pytest.raises(ValidationError):
        validate_email(email)


def test_validate_email_lowers_the_domain_only():
    assert validate_email(" Ana@HAZEL.example ") == "Ana@hazel.example"


def test_disposable_email_is_not_deliverable():
    assert not is_deliverable("ana@tempbox.example", resolve=lambda domain: True)


def test_normalize_phone_adds_the_prefix():
    assert normalize_phone("0171 / 234 567 8") == "+491712345678"


def test_address_without_house_number():
    address = PostalAddress("Ana", "Haselweg", "10115", "Berlin", "DE")
    assert check_address_format(address) == ["street has no house number"]
