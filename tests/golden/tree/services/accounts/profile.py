"""What customers can do with their own account."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum

from services.accounts.validation import ValidationError, validate_email, validate_username
from services.notifications.mailer import Mailer


class AccountStatus(Enum):
    PENDING = "pending"
    ACTIVE = "active"
    LOCKED = "locked"
    CLOSED = "closed"


@dataclass
class Account:
    id: str
    email: str
    username: str
    password_hash: str
    status: AccountStatus = AccountStatus.PENDING
    failed_logins: int = 0
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def can_sign_in(self) -> bool:
        return self.status is AccountStatus.ACTIVE


class ProfileService:
    CONFIRMATION_WINDOW = timedelta(hours=24)

    def __init__(self, accounts, orders, mailer: Mailer) -> None:
        self._accounts = accounts
        self._orders = orders
        self._mailer = mailer
        self._pending: dict[str, tuple[str, str, datetime]] = {}

    def request_email_change(self, account_id: str, new_email: str) -> None:
        """Send a confirmation link to the new mailbox; nothing changes until it is clicked."""
        email = validate_email(new_email)
        if self._accounts.find_by_email(email) is not None:
            raise ValidationError("email", "is already in use")
        code = secrets.token_urlsafe(24)
        self._pending[code] = (account_id, email, datetime.now(timezone.utc) + self.CONFIRMATION_WINDOW)
        self._mailer.send(email, "confirm_email", {"code": code})

    def confirm_email_change(self, code: str) -> Account:
        account_id, email, deadline = self._pending.pop(code)
        if datetime.now(timezone.utc) > deadline:
            raise ValidationError("code", "has expired")
        account = self._accounts.get(account_id)
        account.email = email
        self._accounts.save(account)
        return account

    def rename(self, account_id: str, username: str) -> None:
        account = self._accounts.get(account_id)
        account.username = validate_username(username)
        self._accounts.save(account)

    def register_failed_login(self, account_id: str, limit: int = 5) -> bool:
        """Count a wrong password; lock the account after too many in a row. True when it is now locked."""
        account = self._accounts.get(account_id)
        account.failed_logins += 1
        if account.failed_logins >= limit:
            account.status = AccountStatus.LOCKED
            self._mailer.send(account.email, "account_locked", {"name": account.username})
        self._accounts.save(account)
        return account.status is AccountStatus.LOCKED

    def merge_accounts(self, keep_id: str, absorb_id: str) -> int:
        """Fold a duplicate customer into the surviving one and return how many orders moved over."""
        if keep_id == absorb_id:
            return 0
        moved = 0
        for order in self._orders.of_account(absorb_id):
            order.account_id = keep_id
            self._orders.save(order)
            moved += 1
        absorbed = self._accounts.get(absorb_id)
        absorbed.status = AccountStatus.CLOSED
        self._accounts.save(absorbed)
        return moved

    def export_personal_data(self, account_id: str) -> str:
        """Everything we hold on one person as JSON, for an access request under the GDPR."""
        account = self._accounts.get(account_id)
        record = asdict(account)
        record.pop("password_hash")
        record["status"] = account.status.value
        record["orders"] = [order.summary() for order in self._orders.of_account(account_id)]
        return json.dumps(record, default=str, indent=2)

    def close(self, account_id: str) -> None:
        account = self._accounts.get(account_id)
        account.status = AccountStatus.CLOSED
        account.email = f"closed-{account.id}@invalid"
        self._accounts.save(account)
