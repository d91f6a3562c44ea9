from pathlib import Path

import pytest

from mnemolite.errors import InvalidInput
from mnemolite.settings import Settings
from mnemolite.wiring_postgres import shard_urls


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_DATA_HOME": str(tmp_path / "data")}


def test_without_anything_the_defaults_hold(tmp_path: Path, environ: dict[str, str]) -> None:
    assert Settings.load(tmp_path, environ) == Settings(data_dir=environ["XDG_DATA_HOME"] + "/mnemolite")


def test_the_later_source_wins(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "config" / "mnemolite").mkdir(parents=True)
    (tmp_path / "config" / "mnemolite" / "mnemolite.toml").write_text("workers = 1\nmax_file_bytes = 1\n")
    (tmp_path / "mnemolite.toml").write_text("workers = 2\nlexical_weight = 0.5\n")
    (tmp_path / ".env").write_text("SECRET=1\nexport MNEMOLITE_WORKERS='3'\nnot a line\n")
    assert Settings.load(tmp_path, environ).workers == 3
    settings = Settings.load(tmp_path, {**environ, "MNEMOLITE_WORKERS": "4"})
    assert (settings.workers, settings.max_file_bytes, settings.lexical_weight) == (4, 1, 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKERS", "many"), ("WORKERS", "-1"), ("MAX_FILE_BYTES", "0"), ("PERF_VECTOR_BACKEND", "faiss")],
)
def test_a_wrong_value_is_refused_with_its_name_and_place(name: str, value: str, environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=rf"{name.lower()} in the environment is '{value}'"):
        Settings.load(None, {**environ, f"MNEMOLITE_{name}": value})


@pytest.mark.parametrize(("name", "said"), [("wrokers", r"is it workers\?"), ("zzz", "there are .*workers")])
def test_an_unknown_name_is_refused_with_the_known_ones(
    name: str, said: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "mnemolite.toml").write_text(f"{name} = 2\n")
    with pytest.raises(InvalidInput, match=rf"unknown setting '{name}' in .*mnemolite.toml; {said}"):
        Settings.load(tmp_path, environ)


def test_what_an_address_looks_like_is_said_in_words(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=r"'localhost:8003': write grpc://host:port, several parted by commas\Z"):
        Settings.load(None, {**environ, "EMBEDDING_SERVICE_URL": "localhost:8003"})
    with pytest.raises(InvalidInput, match=r"is \*\*\*: write redis://host:port/0\Z"):
        Settings.load(None, {**environ, "MNEMOLITE_REDIS_URL": "localhost"})


def test_a_broken_file_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "mnemolite.toml").write_text("workers = \n")
    with pytest.raises(InvalidInput, match=r"mnemolite.toml cannot be read"):
        Settings.load(tmp_path, environ)


@pytest.mark.parametrize(
    "text",
    [
        "index_dir = '/tmp/elsewhere'",
        "index_dir = '../up'",
        "embedding_model = '/m'",
        "embedding_model = '~/m'",
        "data_dir = 'here'",
    ],
)
def test_a_tree_cannot_point_outside_itself(text: str, tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "mnemolite.toml").write_text(text)
    with pytest.raises(InvalidInput, match="only the user's own settings may"):
        Settings.load(tmp_path, environ)


@pytest.mark.parametrize("name", ["reranker", "reranker_url", "reranker_api_key", "reranker_model"])
@pytest.mark.parametrize("file", ["mnemolite.toml", ".env"])
def test_a_tree_cannot_say_who_reads_its_code(name: str, file: str, tmp_path: Path, environ: dict[str, str]) -> None:
    line = f"{name} = 'https://x'" if file.endswith("toml") else f"MNEMOLITE_{name.upper()}=https://x"
    (tmp_path / file).write_text(line)
    with pytest.raises(InvalidInput, match=f"{name} stands in .*{file}; only the user's own settings may"):
        Settings.load(tmp_path, environ)


URLS = {"database_url": "postgresql://h/db", "database_shards": "a=postgresql://h/db", "redis_url": "redis://h"}


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("file", ["mnemolite.toml", ".env"])
def test_a_tree_cannot_say_who_keeps_what_is_asked(
    name: str, file: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    line = f"{name} = '{URLS[name]}'" if file.endswith("toml") else f"MNEMOLITE_{name.upper()}={URLS[name]}"
    (tmp_path / file).write_text(line)
    with pytest.raises(InvalidInput, match=f"{name} stands in .*{file}; only the user's own settings may"):
        Settings.load(tmp_path, environ)


@pytest.mark.parametrize(
    ("name", "kinds", "foreign"),
    [
        ("database_url", ("postgresql://me@h:1/db", "postgres://h/db"), ("", "mysql://h/db", "postgresql+asyncpg://h")),
        (
            "redis_url",
            ("redis://h:1/0", "rediss://h", "unix:///run/redis.sock"),
            ("", "memory://", "redis+sentinel://h"),
        ),
    ],
)
def test_a_server_is_where_its_url_says_unless_our_own_says_otherwise(
    name: str, kinds: tuple[str, ...], foreign: tuple[str, ...], tmp_path: Path, environ: dict[str, str]
) -> None:
    def read(**more: str) -> str:
        loaded = Settings.load(tmp_path, {**environ, **more})
        assert "a-password" not in repr(loaded)
        return str(getattr(loaded, name))

    variable, own = name.upper(), f"MNEMOLITE_{name.upper()}"
    (tmp_path / ".env").write_text(f"{variable}={kinds[0]}\n")
    for url in kinds:
        assert read(**{variable: url}) == url
    for url in foreign:  # of another program
        assert read(**{variable: url}) == ""
    secret = kinds[0].replace("://", "://:a-password@")
    assert read(**{variable: kinds[0], own: secret}) == secret
    for where, wrong in ((own, "http://:a-password@own"), (variable, secret.replace("@", " @"))):
        with pytest.raises(InvalidInput, match=rf"{name} in the environment.* is \*\*\*") as refused:
            read(**{where: wrong})
        assert "a-password" not in str(refused.value)


def test_shards_are_named_databases_of_a_database(environ: dict[str, str]) -> None:
    def read(shards: str, url: str = "postgresql://h/db") -> Settings:
        return Settings.load(None, {**environ, "DATABASE_URL": url, "MNEMOLITE_DATABASE_SHARDS": shards})

    two = "a=postgresql://me:a-password@h1,h2/db  b-2=postgres://h3:1/db"
    assert shard_urls(read(two)) == {"a": "postgresql://me:a-password@h1,h2/db", "b-2": "postgres://h3:1/db"}
    assert shard_urls(read("")) == {}
    assert "a-password" not in repr(read(two))
    with pytest.raises(InvalidInput, match="database_shards is set without database_url"):
        read(two, "")
    for wrong in ("postgresql://:a-password@h/db", "a=mysql://:a-password@h", "a=postgresql://:a-password@h,b="):
        with pytest.raises(InvalidInput, match=r"database_shards in the environment is \*\*\*") as refused:
            read(wrong + " x")
        assert "a-password" not in str(refused.value)
    for name in ("a", "coordinator"):
        with pytest.raises(InvalidInput, match=f"database_shards names '{name}' twice"):
            shard_urls(read(f"{name}=postgresql://h/1 a=postgresql://h/2 "))


def test_models_go_by_the_names_that_others_know_them_by(tmp_path: Path, environ: dict[str, str]) -> None:
    names = {"EMBEDDING_MODEL": "a", "CODE_EMBEDDING_MODEL": "b", "CODE_EMBEDDING_DIMENSION": "768"}
    settings = Settings.load(tmp_path, environ | names)
    assert (settings.embedding_model, settings.code_embedding_model, settings.code_embedding_dimension) == (
        "a",
        "b",
        768,
    )
    assert Settings.load(tmp_path, environ | names | {"MNEMOLITE_EMBEDDING_MODEL": "c"}).embedding_model == "c"
    assert Settings.load(tmp_path, environ | {"DEVICE": "cuda"}).device == "cuda"
    assert Settings.load(tmp_path, environ | {"DEVICE": "/dev/sda"}).device == "auto"  # another program's
    with pytest.raises(InvalidInput, match="embedding_dimension in the environment is 'many'"):
        Settings.load(tmp_path, environ | {"EMBEDDING_DIMENSION": "many"})


def test_a_key_is_never_shown(environ: dict[str, str]) -> None:
    settings = Settings.load(None, {**environ, "MNEMOLITE_RERANKER_API_KEY": "sk-secret"})
    assert settings.reranker_api_key == "sk-secret"
    assert "sk-secret" not in f"{settings} {settings!r}"
    assert "workers=0" in repr(settings)
    for wrong in ("sk secret", "sk-secret\n", "sk-sécret"):
        with pytest.raises(InvalidInput, match=r"reranker_api_key in the environment is \*\*\*") as refused:
            Settings.load(None, {**environ, "MNEMOLITE_RERANKER_API_KEY": wrong})
        assert wrong not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", "ftp://x"),
        ("URL", "http://a b"),
        ("URL", "https://me:pw@x"),
        ("TIMEOUT_SECONDS", "0"),
        ("TIMEOUT_SECONDS", "nan"),
        ("TOKEN_BUDGET", "9"),
    ],
)
def test_a_reranker_setting_that_cannot_work_is_refused(name: str, value: str, environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=f"reranker_{name.lower()}"):
        Settings.load(None, {**environ, f"MNEMOLITE_RERANKER_{name}": value})


def test_the_users_own_settings_may_say_where_notes_are(tmp_path: Path, environ: dict[str, str]) -> None:
    elsewhere = Settings.load(tmp_path, {**environ, "MNEMOLITE_DATA_DIR": "~/notes"}).data_dir
    assert Path(elsewhere) == Path("~/notes").expanduser()
