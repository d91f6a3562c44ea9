"""
One validated, frozen object; the only reader of the environment.

Order, the later wins: defaults, the user's file, the tree's ``mnemolite.toml``, ``.env`` beside it, the environment.
In files a setting has its own name; in the environment it is in capitals behind ``MNEMOLITE_``. ``DATABASE_URL`` and
``REDIS_URL`` are read too, where they are of a kind we know, and so are the names in UNPREFIXED.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mnemolite.errors import InvalidInput

PREFIX = "MNEMOLITE_"
FILE = "mnemolite.toml"

POSTGRES = ("postgresql://", "postgres://")
REDIS = ("redis://", "rediss://", "unix://")

UNPREFIXED = (
    "embedding_model",
    "text_embedding_model",
    "code_embedding_model",
    "embedding_dimension",
    "code_embedding_dimension",
    "embedding_mode",
    "embedding_service_url",
)

_SECRET = {
    "database_url",
    "database_shards",
    "redis_url",
    "reranker_api_key",
    "broker_url",
    "webhook_secret",
    "embedding_service_token",
}

_ADDRESS = r"grpcs?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d{1,5})?/?"

_BASE64 = r"[A-Za-z0-9+/]"
_WEBHOOK_SECRET = rf"^(whsec_({_BASE64}{{4}}){{5,}}({_BASE64}{{2}}==|{_BASE64}{{3}}=)?|(?!whsec_)[!-~]{{16,}})?\Z"

_Printable = Annotated[str, Meta(pattern=r"^[!-~]*\Z", description="printable ASCII characters without a space")]
_Redis = Annotated[str, Meta(pattern=r"^((rediss?|unix)://[!-~]+)?\Z", description="redis://host:port/0")]
Device = Literal["auto", "cpu", "cuda"]
DEVICES = ("auto", "cpu", "cuda")
VectorBackend = Literal["auto", "numpy", "sqlite-vec"]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting, with its default. Times are in seconds where the name does not say else, sizes in bytes."""

    index_dir: str = ".mnemolite"  # relative to the tree's root
    data_dir: str = ""  # where notes and events are; "" is the platform's folder for a user's data
    repository: str = ""  # what a tree is called in a database that many share; "" is the name of its folder
    project: str = ""  # of notes; "" is the name of the git repository's or the tree's folder
    embedding_model: str = ""  # name or folder of one, static or in ONNX; "" is the shipped one
    text_embedding_model: str = ""  # that of prose, where it is another than that of code; "" is embedding_model
    code_embedding_model: str = ""
    embedding_dimension: Annotated[int, Meta(ge=0)] = 0  # a model of another is refused; 0 is whatever it makes
    code_embedding_dimension: Annotated[int, Meta(ge=0)] = 0  # that of the model of code
    embedding_mode: Literal["real", "mock"] = "real"  # mock: hashed words, without a model; also EMBEDDING_MODE
    # grpc://host:port, or grpcs:// with TLS, several parted by commas: models there instead of here, see
    # `mnemolite embedder`; also EMBEDDING_SERVICE_URL
    embedding_service_url: Annotated[
        str,
        Meta(pattern=rf"^({_ADDRESS}(, *{_ADDRESS})*)?\Z", description="grpc://host:port, several parted by commas"),
    ] = ""
    embedding_service_token: _Printable = ""  # an API key of it; never shown
    embedding_service_ca: str = ""  # file of the certificates that vouch for it, in PEM; "" are the system's
    embedding_service_seconds: Annotated[float, Meta(gt=0)] = 10.0  # for a query; then search goes on without it
    embedding_service_patience_seconds: Annotated[float, Meta(gt=0)] = 60.0  # an index waits for one that is away
    device: Device = "auto"  # of models that run in torch: a GPU where there is one, else the CPU
    max_file_bytes: Annotated[int, Meta(ge=1)] = 1_000_000
    allow_secrets: bool = False  # index keys, tokens and passwords as they are
    workers: Annotated[int, Meta(ge=0, le=64)] = 0  # parser processes; 0 is one for each core, at most 8
    lock_wait_seconds: Annotated[float, Meta(ge=0)] = 10.0
    fresh_seconds: Annotated[float, Meta(ge=0)] = 1.0  # a search this soon after a look at the tree trusts it
    perf_vector_backend: VectorBackend = "auto"
    perf_cache_max_size: Annotated[int, Meta(ge=0)] = 1000  # embeddings of queries that are kept; 0 keeps none
    perf_cache_ttl_seconds: Annotated[float, Meta(gt=0)] = 600.0
    # postgresql://...: everything is kept there; "" keeps it in files. Also DATABASE_URL; never shown
    database_url: Annotated[
        str, Meta(pattern=r"^(postgres(ql)?://[!-~]+)?\Z", description="postgresql://user:password@host:port/name")
    ] = ""
    # name=postgresql://..., parted by spaces: databases that the repositories are spread over; never shown
    database_shards: Annotated[
        str,
        Meta(
            pattern=r"^\s*([a-z0-9_-]+=postgres(ql)?://[!-~]+(\s+|\Z))*\Z",
            description="name=postgresql://..., several parted by spaces; a name has a-z, 0-9, - and _",
        ),
    ] = ""
    database_pool_size: Annotated[int, Meta(ge=1, le=1000)] = 10  # connections of one process, at most
    database_wait_seconds: Annotated[float, Meta(gt=0)] = 10.0  # for the server, and for a free connection
    database_statement_seconds: Annotated[float, Meta(gt=0)] = 60.0  # a statement that takes longer is given up
    # of a server: embeddings of queries are kept there too, for other servers; also REDIS_URL; never shown
    redis_url: _Redis = ""
    perf_model_idle_timeout_minutes: Annotated[float, Meta(ge=0, le=1e6)] = 10.0  # then it is unloaded; 0 keeps it
    ram_budget_mb: Annotated[int, Meta(ge=1)] = 900  # of the process: no second model is loaded above it
    lexical_weight: Annotated[float, Meta(ge=0)] = 0.5  # of the list in the fusion
    vector_weight: Annotated[float, Meta(ge=0)] = 1.0
    signals_off: str = ""  # names of ranking signals to leave out, parted by commas
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.0  # hits below are left out, unless the query says otherwise
    expand: bool = True  # a query that is no symbol also by its words' synonyms, unless the query says otherwise
    reranker: str = "none"  # of queries that ask for it: none, anthropic, openai, or the folder of a cross-encoder
    reranker_model: str = ""  # its name at anthropic or openai
    reranker_url: Annotated[  # "" is the service's own
        str,
        Meta(
            pattern=r"^(https?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?(/[!-~]*)?)?\Z", description="http://host:port/path"
        ),
    ] = ""
    reranker_api_key: _Printable = ""  # never shown
    reranker_timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 15.0  # for the whole call, retries included
    reranker_token_budget: Annotated[int, Meta(ge=4000)] = 8000  # of what is sent in one call
    # of `mnemolite serve`; lists are separated by commas in the environment
    index_roots: tuple[str, ...] = ()  # folders that may be indexed by their path, with all below them
    keys_file: str = ""  # API keys, hashed; "" is keys.json in data_dir
    allowed_hosts: tuple[str, ...] = ()  # names it may be called by, besides those of this machine
    trusted_proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For says who asks
    cors_origins: tuple[str, ...] = ()  # sites whose pages may call it from a browser
    rate_per_minute: Annotated[int, Meta(ge=0)] = 6000  # requests of one key, or of one address; 0 is any number
    max_body_bytes: Annotated[int, Meta(ge=1)] = 32 * 2**20
    request_seconds: Annotated[float, Meta(gt=0)] = 60.0  # after which a request is answered with 504; not indexing
    request_threads: Annotated[int, Meta(ge=1, le=256)] = 16  # requests worked on at once
    preload_seconds: Annotated[float, Meta(ge=0)] = 5.0  # after its start the models are loaded
    feedback: bool = False  # keep what people say they chose among hits, with what they had asked
    log_queries: bool = False  # write what is searched for into the log
    # of jobs, which a server indexes repositories by
    job_threads: Annotated[int, Meta(ge=0, le=64)] = (
        1  # that `mnemolite serve` works on them with; 0 leaves all to others
    )
    job_lease_seconds: Annotated[float, Meta(ge=0.5)] = 9.0  # after a worker was last heard of, its task is another's
    # redis://...: tells workers of tasks, by Celery; "" has them ask the database. Never shown
    broker_url: _Redis = ""
    # signs what callbacks are told: any characters, or base64 behind whsec_; never shown
    webhook_secret: Annotated[
        str,
        Meta(pattern=_WEBHOOK_SECRET, description="16 printable characters or more, or whsec_ and base64"),
    ] = ""
    outbound_http: bool = False  # callbacks and git repositories may be at http:// too
    outbound_networks: tuple[str, ...] = ()  # that are not public, and may be asked all the same: 10.1.0.0/16
    git_max_bytes: Annotated[int, Meta(ge=1)] = 2_000_000_000  # of a repository's latest commit, as a tree and packed
    git_seconds: Annotated[float, Meta(gt=0)] = 600.0  # for its fetch
    # of `mnemolite embedder`
    embedder_requests: Annotated[int, Meta(ge=1, le=4096)] = 256  # of each door at once; more are refused
    embedder_batch_tokens: Annotated[int, Meta(ge=1)] = 4096  # embedded together, at most
    embedder_queue_tokens: Annotated[int, Meta(ge=1)] = 131_072  # that wait, at most; more are refused
    embedder_tls_certificate: str = ""  # files in PEM; without them it is to be reached within a trusted network only
    embedder_tls_key: str = ""

    def __repr__(self) -> str:
        shown = {
            name: "***" if name in _SECRET and value else value for name, value in msgspec.structs.asdict(self).items()
        }
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @classmethod
    def load(cls, root: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
        """
        Settings that hold in the tree at *root*.

        Raises:
            InvalidInput: a value is wrong or a name is unknown; says where it stands and what would be right.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config")
        user = home / "mnemolite" / FILE
        values |= cls._check(_toml(user), str(user))
        if root:
            own = root / FILE
            values |= _confined(cls._check(_toml(own), str(own)), own)
            values |= _confined(cls._check(_named(_dotenv(root / ".env")), f"{root}/.env"), root / ".env")
        for name, kinds in (("database_url", POSTGRES), ("redis_url", REDIS), ("device", DEVICES)):
            if (url := environ.get(name.upper(), "")).startswith(kinds):  # of another kind, it is another program's
                values |= cls._check({name: url}, f"the environment's {name.upper()}")
        for name in UNPREFIXED:
            if value := environ.get(name.upper()):
                values |= cls._check({name: value}, "the environment")
        values |= cls._check(_named(environ), "the environment")
        if values.get("database_shards") and not values.get("database_url"):
            raise InvalidInput("database_shards is set without database_url, which names the database they belong to")
        values["data_dir"] = str(Path(values.get("data_dir") or _data_home(environ)).expanduser())
        return cls(**values)

    @classmethod
    def _check(cls, given: Mapping[str, Any], origin: str) -> dict[str, Any]:
        """Each value in its right type; strings are read as what the setting wants."""
        fields = {f.name: f.type for f in msgspec.structs.fields(cls)}
        checked: dict[str, Any] = {}
        for name, value in given.items():
            if name not in fields:
                raise InvalidInput(f"unknown setting {name!r} in {origin}; {_nearest(name, fields)}")
            if isinstance(value, str) and fields[name] == tuple[str, ...]:
                value = [part.strip() for part in value.split(",") if part.strip()]  # noqa: PLW2901
            try:
                checked[name] = msgspec.convert(value, fields[name], strict=not isinstance(value, str))
            except msgspec.ValidationError as error:
                shown = "***" if name in _SECRET else repr(value)
                right = [meta.description for meta in getattr(fields[name], "__metadata__", ()) if meta.description]
                why = f"write {right[0]}" if right else error
                raise InvalidInput(f"setting {name} in {origin} is {shown}: {why}") from error
        return checked


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 3)
    return f"is it {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}"


def _data_home(environ: Mapping[str, str]) -> Path:
    """As the platform has it; XDG_DATA_HOME is obeyed everywhere."""
    home = Path(environ.get("HOME") or "~").expanduser()
    if given := environ.get("XDG_DATA_HOME"):
        base = Path(given)
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = home / ".local" / "share"
    return base / "mnemolite"


def _confined(values: dict[str, Any], file: Path) -> dict[str, Any]:
    """A tree may come from anyone: its own settings must not make us read or write outside of it, or send it away."""
    for name in values:
        if name.startswith(("reranker", "embedding_service")):
            raise InvalidInput(f"{name} stands in {file}; only the user's own settings may say who reads the code")
        if name in ("database_url", "database_shards", "redis_url", "broker_url"):
            raise InvalidInput(f"{name} stands in {file}; only the user's own settings may say who keeps what is asked")
    models = {"embedding_model", "text_embedding_model", "code_embedding_model"}
    for name in ({"index_dir", "data_dir"} | models) & values.keys():
        given = Path(values[name])
        if name == "data_dir" or given.is_absolute() or ".." in given.parts or given.parts[:1] == ("~",):
            raise InvalidInput(f"{name} in {file} points outside the tree; only the user's own settings may")
    return values


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"the settings in {file} cannot be read: {error}") from error


def _dotenv(file: Path) -> dict[str, str]:
    """``NAME=value`` lines; only ours are looked at, so whatever else an application keeps there is no concern."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
    return {name.strip(): value.strip().strip("'\"") for name, value in pairs}


def _named(variables: Mapping[str, str]) -> dict[str, str]:
    return {n.removeprefix(PREFIX).lower(): v for n, v in variables.items() if n.startswith(PREFIX) and v != ""}
