"""Configuration: defaults, then config/services.toml, then the environment."""

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Any

PREFIX = "HAZELMART_"


def load_settings(path: Path, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """Read the TOML file and let variables such as HAZELMART_PAYMENTS__TIMEOUT override single keys."""
    settings = tomllib.loads(path.read_text(encoding="utf-8"))
    for name, raw in (environ if environ is not None else os.environ).items():
        if not name.startswith(PREFIX):
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        target = settings
        for section in sections:
            target = target.setdefault(section, {})
        target[key] = _coerce(raw)
    return settings


def _coerce(raw: str) -> Any:
    if raw.lower() in {"true", "false"}:
        return raw.lower() == "true"
    for kind in (int, float):
        try:
            return kind(raw)
        except ValueError:
            continue
    return raw


class FeatureFlags:
    def __init__(self, rollout: dict[str, int]) -> None:
        self._rollout = rollout

    def is_enabled(self, flag: str, account_id: str) -> bool:
        """Gradual rollout: the same customer always falls into the same percentile."""
        share = self._rollout.get(flag, 0)
        bucket = int(hashlib.sha256(f"{flag}:{account_id}".encode()).hexdigest()[:8], 16) % 100
        return bucket < share
