"""From settings to models: those that embed, with their caches, and the one that reranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnemolite.errors import InvalidInput
from mnemolite.models import remote_models, shared_maker, shared_models
from mnemolite.ports import Cache, Embedder, Reranker
from mnemolite.settings import Settings
from mnemolite.spaces import Models
from mnemolite.types import Space


def models_at_hand(settings: Settings, *, serving: bool = False) -> Models:
    from mnemolite.caches.embeddings import EmbeddingCache
    from mnemolite.embedders.cached import CachedEmbedder

    cache = None
    if settings.perf_cache_max_size:
        shared = _redis(settings) if serving and settings.redis_url else None
        cache = EmbeddingCache(settings.perf_cache_max_size, settings.perf_cache_ttl_seconds, behind=shared)
    found: dict[Space, Embedder] = {}

    def cached(embedder: Embedder) -> Embedder:
        return embedder if cache is None else CachedEmbedder(embedder, cache)

    def find(space: Space) -> Embedder | None:
        if space not in found and (maker := shared_maker(settings, space)) is not None:
            found[space] = cached(maker)
        return found.get(space)

    return Models(tuple(map(cached, _configured(settings))), find)


def _configured(settings: Settings) -> Sequence[Embedder]:
    if settings.embedding_mode == "mock":
        from mnemolite.embedders.hashing import HashingEmbedder

        return [HashingEmbedder()]
    return remote_models(settings) if settings.embedding_service_url else shared_models(settings)


def _redis(settings: Settings) -> Cache:
    try:
        from mnemolite.caches.redis import RedisCache
    except ModuleNotFoundError as error:
        raise InvalidInput(f"redis_url is set, and {error}; install it with: pip install 'mnemolite[redis]'") from error
    return RedisCache(settings.redis_url)


def reranker(settings: Settings) -> Reranker | None:
    if settings.reranker == "none":
        return None
    if settings.reranker not in ("anthropic", "openai"):
        folder = Path(settings.reranker).expanduser()
        if not folder.is_dir():
            raise InvalidInput(f"reranker is {settings.reranker!r}; give none, anthropic, openai or a model's folder")
        from mnemolite.rerankers.cross_encoder import CrossEncoder

        return CrossEncoder(folder)
    if not settings.reranker_model:
        raise InvalidInput(f"reranker is {settings.reranker}; set reranker_model to the name of a model there")
    if settings.reranker == "anthropic" and not settings.reranker_api_key:
        raise InvalidInput("reranker is anthropic; set reranker_api_key, best as MNEMOLITE_RERANKER_API_KEY")
    from mnemolite.rerankers.dialects import Anthropic, OpenAi
    from mnemolite.rerankers.llm import LlmReranker

    dialect = Anthropic() if settings.reranker == "anthropic" else OpenAi()
    return LlmReranker(
        dialect=dialect,
        url=settings.reranker_url or dialect.home,
        model=settings.reranker_model,
        key=settings.reranker_api_key,
        timeout_seconds=settings.reranker_timeout_seconds,
        token_budget=settings.reranker_token_budget,
    )
