import hashlib
import hmac
import sqlite3
from decimal import Decimal

import pytest

from services.payments.charges import ChargeService, PaymentDeclined, RefundTooLarge
from services.payments.gateway import SandboxGateway
from services.payments.masking import luhn_valid, mask_card_number
from services.payments.webhooks import BadSignature, verify_webhook_signature


@pytest.fixture
def service():
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE charges (key TEXT PRIMARY KEY, amount, currency, reference, refunded, refund_reason)"
    )
    return ChargeService(SandboxGateway(), connection)


def test_charge_once_repeats_the_first_answer(service):
    first = service.charge_once("k1", Decimal("20.00"), "EUR", "card")
    assert service.charge_once("k1", Decimal("20.00"), "EUR", "card") == first


def test_declined_payment(service):
    with pytest.raises(PaymentDeclined):
        service.charge_once("k2", Decimal("9.13"), "EUR", "card")


def test_refund_cannot_exceed_charge(service):
    reference = service.charge_once("k3", Decimal("5.00"), "EUR", "card")
    with pytest.raises(RefundTooLarge):
        service.refund(reference, Decimal("5.01"), "test")


def test_webhook_signature_replay_is_refused():
    digest = hmac.new(b"s", b"1000.{}", hashlib.sha256).hexdigest()
    verify_webhook_signature(b"{}", f"t=1000,v1={digest}", b"s", now=1100)
    with pytest.raises(BadSignature):
        verify_webhook_signature(b"{}", f"t=1000,v1={digest}", b"s", now=2000)


def test_mask_card_number():
    assert mask_card_number("4242-4242-4242-4242") == "**** **** **** 4242"
    assert luhn_valid("4242 4242 4242 4242")
