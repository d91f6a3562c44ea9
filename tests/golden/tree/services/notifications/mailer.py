"""Outgoing email."""

import smtplib
import string
from email.message import EmailMessage
from pathlib import Path

from services.common.retry import LinearRetry, call_with_retry
from services.notifications.deliverability import SuppressionList


class Mailer:
    def __init__(self, host: str, sender: str, templates: Path, suppressed: SuppressionList) -> None:
        self._host = host
        self._sender = sender
        self._templates = templates
        self._suppressed = suppressed

    def send(self, recipient: str, template: str, values: dict[str, str]) -> bool:
        """Render a template and hand it to the mail server; False when the recipient is on the block list."""
        if recipient in self._suppressed:
            return False
        message = self._compose(recipient, template, values)
        call_with_retry(lambda: self._deliver(message), LinearRetry(attempts=2), (smtplib.SMTPServerDisconnected,))
        return True

    def _compose(self, recipient: str, template: str, values: dict[str, str]) -> EmailMessage:
        subject, _, body = (self._templates / f"{template}.txt").read_text(encoding="utf-8").partition("\n\n")
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = recipient
        message["Subject"] = string.Template(subject).safe_substitute(values)
        message.set_content(string.Template(body).safe_substitute(values))
        return message

    def _deliver(self, message: EmailMessage) -> None:
        with smtplib.SMTP(self._host, timeout=10) as server:
            server.send_message(message)
