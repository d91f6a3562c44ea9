from services.common.caching import LruCache, TieredCache, TtlCache
from services.common.retry import ExponentialRetry, JitteredRetry, LinearRetry, call_with_retry


def test_linear_retry_delays():
    assert [LinearRetry(2).delay(n) for n in (1, 2, 3, 4)] == [2, 4, 6, None]


def test_exponential_retry_has_a_ceiling():
    assert ExponentialRetry(1, 5).delay(6) == 5


def test_jittered_retry_stays_below_the_exponential_delay():
    assert 0 <= JitteredRetry(1, seed=3).delay(3) <= 4


def test_call_with_retry_gives_up_after_the_last_attempt():
    outcomes = iter([TimeoutError(), TimeoutError(), "done"])

    def action():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert call_with_retry(action, LinearRetry(0), sleep=lambda pause: None) == "done"


def test_lru_cache_evicts_the_oldest():
    cache = LruCache(1)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") is None


def test_tiered_cache_promotes():
    upper, lower = LruCache(4), TtlCache(60)
    lower.put("k", "v")
    assert TieredCache(upper, lower).get("k") == "v"
    assert upper.get("k") == "v"
