from services.common.caching import LruCache, TieredCache, TtlCache
from services.common.dates import business_days_between, humanize_age, parse_iso_date
from services.common.locks import LeaseLock
from services.common.pagination import Page, paginate_by_cursor, paginate_by_offset
from services.common.retry import CircuitBreaker, ExponentialRetry, JitteredRetry, LinearRetry, call_with_retry
from services.common.text import chunked, redact, slugify, truncate_words

__all__ = [
    "CircuitBreaker",
    "ExponentialRetry",
    "JitteredRetry",
    "LeaseLock",
    "LinearRetry",
    "LruCache",
    "Page",
    "TieredCache",
    "TtlCache",
    "business_days_between",
    "call_with_retry",
    "chunked",
    "humanize_age",
    "paginate_by_cursor",
    "paginate_by_offset",
    "parse_iso_date",
    "redact",
    "slugify",
    "truncate_words",
]
