"""The command line as a user types it: each test starts the installed program."""

import base64
import json
import os
import random
import shutil
import signal
import sqlite3
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from mnemolite.cli import cli
from mnemolite.embedders.static import SHIPPED

PROGRAM = Path(sys.executable).parent / "mnemolite"


def run(*arguments: object, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environ},
        timeout=120,
        check=False,
    )


def found(*arguments: object) -> list[dict[str, Any]]:
    done = run("search", "--json", *arguments)
    assert done.returncode in (0, 1), done.stderr
    hits: list[dict[str, Any]] = json.loads(done.stdout)["hits"]
    return hits


@pytest.fixture
def indexed(tree: Path) -> Path:
    done = run("index", tree)
    assert done.returncode == 0, done.stderr
    return tree


def test_index_says_what_it_did_and_what_it_skipped(tree: Path) -> None:
    done = run("index", tree, "--verbose")
    assert done.returncode == 0
    assert "chunks stored" in done.stdout
    assert "binary: logo.png" in done.stdout
    assert (tree / ".mnemolite" / ".gitignore").read_text() == "*\n"


def test_a_second_index_reads_nothing(indexed: Path) -> None:
    assert " 0 read" in run("index", indexed).stdout


def test_a_question_finds_its_answer(indexed: Path) -> None:
    [first, *_] = found("where do we check that a mail address is valid?", indexed)
    assert first["path"] == "auth/email.py"
    assert {"path", "first_line", "last_line", "name", "kind", "language", "score", "ranks", "snippet"} <= set(first)


def test_a_name_finds_its_definition_first(indexed: Path) -> None:
    assert found("chargeOnce", indexed)[0]["path"] == "pay/charge.ts"
    assert found("charge_once", indexed)[0]["path"] == "pay/charge.ts"
    assert found("charg", indexed)[0]["path"] == "pay/charge.ts"


@pytest.mark.skipif(sys.platform == "win32", reason="there no file can have such a name")
def test_what_is_found_does_not_act_on_the_terminal(tree: Path) -> None:
    name = "clear\x1b[2J\nemail.py:1-2   forged.py"
    (tree / name).write_text("def empty_trash():\n    return '\x1b]0;title\x07\t\u202etxt'\n")
    (tree / "gone\x07.bin").write_bytes(b"\0")
    assert "binary: gone�.bin" in run("index", tree, "--verbose").stdout
    first, _, last, *_ = run("search", "empty_trash", tree, "--limit", "1").stdout.splitlines()
    assert first.startswith("clear�[2J�email.py:1-2   forged.py:1-2   empty_trash   ")
    assert last.endswith("return '�]0;title�\t�txt'")
    [hit] = found("empty_trash", tree, "--limit", "1")
    assert hit["path"] == name  # programs are given what there is


def test_a_mistyped_command_is_guessed() -> None:
    done = run("serch", "mail")
    assert done.returncode == 2
    assert "No such command 'serch'. Did you mean 'search'" in done.stderr


def test_exit_codes_are_those_of_grep(indexed: Path) -> None:
    assert run("search", "validate_email", indexed).returncode == 0
    assert run("search", "zzzqqqxxx", indexed, "--lexical-only").returncode == 1
    assert run("search", "", indexed).returncode == 2


def test_a_search_that_finds_nothing_relevant_says_so(indexed: Path) -> None:
    foreign = "how to bake sourdough bread"
    done = run("search", foreign, indexed, "--min-score", "0.9")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing relevant found: the best score is 0." in done.stderr
    answer = json.loads(run("search", foreign, indexed, "--min-score", "0.9", "--json").stdout)
    assert answer["hits"] == [] and not answer["relevant"] and 0 < answer["best"] < 0.9
    shown = run("search", "calculateMoonPhase", indexed)
    assert shown.returncode == 0 and shown.stdout
    assert "nothing here seems relevant: the best score is 0.0" in shown.stderr
    assert run("search", foreign, indexed, "--min-score", "2").returncode == 2


def test_results_are_on_stdout_and_nothing_else(indexed: Path) -> None:
    done = run("search", "--json", "refund", indexed)
    assert set(json.loads(done.stdout)) == {"hits", "best", "relevant", "degraded", "seconds"}
    assert done.stderr == ""


def test_jsonl_is_a_hit_a_line(indexed: Path) -> None:
    lines = run("search", "--jsonl", "payment", indexed).stdout.splitlines()
    assert len(lines) >= 2
    assert all("path" in json.loads(line) for line in lines)


def test_text_output_names_place_symbol_and_lines(indexed: Path) -> None:
    out = run("search", "validate_email", indexed, "--limit", "1", "--context", "0", "--explain").stdout
    assert out.startswith("auth/email.py:")
    assert "def validate_email" in out
    assert "lexical: rank 1" in out


@pytest.mark.parametrize(
    ("flags", "paths"),
    [
        (["--lang", "typescript"], {"pay/charge.ts"}),
        (["--path", "docs/**"], {"docs/refunds.md"}),
        (["--path", "*.py"], {"auth/email.py"}),
        (["--kind", "section"], {"docs/refunds.md"}),
    ],
)
def test_a_scope_holds_for_every_hit(flags: list[str], paths: set[str], indexed: Path) -> None:
    hits = found("payment mail money", indexed, *flags)
    assert {hit["path"] for hit in hits} == paths


def test_a_limit_is_kept(indexed: Path) -> None:
    assert len(found("mail", indexed, "--limit", "2")) == 2


def test_one_leg_alone_gives_only_its_ranks(indexed: Path) -> None:
    assert {name for hit in found("mail", indexed, "--lexical-only") for name in hit["ranks"]} <= {"lexical", "name"}
    assert {name for hit in found("mail", indexed, "--vector-only") for name in hit["ranks"]} == {"vector"}


def test_synonyms_are_searched_unless_told_otherwise(indexed: Path) -> None:
    """Nothing in the tree says \"verifies\"; validate_email does it."""
    assert found("verifies", indexed, "--lexical-only") == []  # it may be a symbol
    assert found("verifies", indexed, "--lexical-only", "--expand")[0]["path"] == "auth/email.py"
    assert found("who verifies", indexed, "--lexical-only")[0]["path"] == "auth/email.py"
    assert found("who verifies", indexed, "--lexical-only", "--no-expand") == []
    assert run("search", "who verifies", indexed, "--lexical-only", MNEMOLITE_EXPAND="false").returncode == 1
    assert run("search", "who verifies", indexed, "--lexical-only", "--expand", MNEMOLITE_EXPAND="0").returncode == 0


def test_without_a_reranker_the_order_stays_and_it_is_said(indexed: Path) -> None:
    done = run("search", "mail", indexed, "--rerank", "--json")
    answer = json.loads(done.stdout)
    assert "reranking: none is configured" in answer["degraded"][0]
    assert answer["hits"] == found("mail", indexed)


def test_a_changed_file_is_found_as_it_is_now(indexed: Path) -> None:
    (indexed / "auth" / "token.py").write_text("def rotate_refresh_token(session):\n    session.renew()\n")
    (indexed / "docs" / "refunds.md").unlink()
    assert found("rotate refresh token", indexed)[0]["path"] == "auth/token.py"
    assert "docs/refunds.md" not in {hit["path"] for hit in found("refunds", indexed)}


def test_without_refresh_a_stale_index_says_so(indexed: Path) -> None:
    (indexed / "new.py").write_text("def brand_new():\n    pass\n")
    done = run("search", "--json", "--no-refresh", "brand_new", indexed)
    answer = json.loads(done.stdout)
    assert "new.py" not in {hit["path"] for hit in answer["hits"]}
    assert "is stale: 1 files changed, 0 gone" in answer["degraded"][0]


def test_a_file_moved_is_found_at_its_new_place_only(indexed: Path) -> None:
    (indexed / "pay" / "charge.ts").rename(indexed / "pay" / "once.ts")
    assert {hit["path"] for hit in found("chargeOnce", indexed, "--lexical-only")} == {"pay/once.ts"}


def test_a_folder_inside_a_tree_is_searched_alone_with_paths_from_it(indexed: Path) -> None:
    hits = found("mail address", indexed / "auth")
    assert {hit["path"] for hit in hits} == {"email.py"}


def test_several_trees_are_searched_as_one(indexed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mail.go").write_text(
        "package mail\n\n// Valid reports whether a mail address is valid.\nfunc Valid() {}\n"
    )
    assert run("index", other).returncode == 0
    paths = {str(hit["path"]) for hit in found("is a mail address valid", indexed, other)}
    assert f"{other}/mail.go" in paths
    assert f"{indexed}/auth/email.py" in paths


def test_the_tree_around_the_current_folder_is_meant_without_a_path(indexed: Path) -> None:
    done = run("search", "--json", "validate_email", cwd=indexed / "pay")
    assert json.loads(done.stdout)["hits"][0]["path"] == "auth/email.py"


def test_similar_finds_the_like_and_not_itself(indexed: Path) -> None:
    done = run("similar", "docs/refunds.md:1", indexed, "--json")
    hits = json.loads(done.stdout)["hits"]
    assert done.returncode == 0
    assert all((hit["path"], hit["first_line"]) != ("docs/refunds.md", 1) for hit in hits)


def test_status_tells_freshness_and_spaces(indexed: Path) -> None:
    status = json.loads(run("status", indexed, "--json").stdout)
    assert status["fresh"] is True
    assert status["languages"]["python"] >= 1
    (indexed / "x.py").write_text("x = 1\n")
    status = json.loads(run("status", indexed, "--json").stdout)
    assert (status["fresh"], status["changed"]) == (False, ["x.py"])
    assert "mnemolite-static" in run("status", indexed).stdout


def test_stats_tell_what_is_loaded(indexed: Path) -> None:
    stats = json.loads(run("stats", indexed, "--memory", "--json").stdout)
    assert stats["resident bytes"] > 1_000_000
    assert stats["vector backend"] == "numpy"


def test_clear_deletes_the_index_and_only_that(indexed: Path) -> None:
    unanswered = run("clear", indexed)
    assert unanswered.returncode == 2
    assert "nobody answers here, so nothing was done; --yes" in unanswered.stderr
    assert run("clear", indexed, "--yes").returncode == 0
    assert not (indexed / ".mnemolite" / "memory.db").exists()
    assert (indexed / "auth" / "email.py").exists()
    assert run("clear", indexed, "--yes").returncode == 2


def test_embed_prints_a_vector_packed_or_plain() -> None:
    plain = json.loads(run("embed", "validate an email").stdout)
    assert len(plain["embedding_text"]) == plain["dimension"]
    packed = json.loads(run("embed", "validate an email", "--domain", "hybrid", "--compress").stdout)
    assert packed["compression"] == "int8_base64"
    assert len(base64.b64decode(packed["embedding_code_compressed"])) == plain["dimension"] + 4


def test_similarity_has_a_number_and_a_word() -> None:
    near = run("similarity", "check an email address", "def validate_email(address): ...").stdout
    far = run("similarity", "check an email address", "for i in range(10): total += i").stdout
    assert float(near.split()[0]) > float(far.split()[0])
    assert far.split(maxsplit=1)[1].strip() == "not relevant"


def test_eval_scores_a_set_and_can_fail(indexed: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.json"
    found = {"query": "validate_email", "expected_results": ["auth/email.py:validate_email"], "category": "exact"}
    queries.write_text(json.dumps([found, {"query": "email", "expected_results": [["a", "b"]], "category": "lost"}]))
    done = run("eval", queries, indexed, "--fail-under", "exact:nDCG@10=0.99", "--fail-under", "F1=0.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nDCG@10" in done.stdout
    assert "0.00-1.00" in done.stdout  # the interval of one query found and one not
    done = run("eval", queries, indexed, "--fail-under", "F1=0.5", "--fail-under", "lost:recall@10=0.1")
    assert done.returncode == 1
    assert done.stderr.strip() == "mnemolite: lost recall@10 is 0.0000, under 0.1"
    done = run("eval", queries, indexed, "--fail-under", "concept:F1=0.5")
    assert done.returncode == 2
    assert "'concept'" in done.stderr


def test_doctor_finds_all_well(indexed: Path) -> None:
    done = run("doctor", indexed)
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout


def test_rekall_is_the_same_program(indexed: Path) -> None:
    done = subprocess.run(
        [PROGRAM.with_name("rekall"), "search", "validate_email", indexed], capture_output=True, text=True, check=False
    )
    assert "auth/email.py" in done.stdout


def test_without_an_index_the_next_command_is_named(tree: Path) -> None:
    done = run("search", "x", tree)
    assert done.returncode == 2
    assert f"run 'mnemolite index {tree}' first" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", "/nowhere/at/all"], "does not exist"),
        (["index", "a", "b"], "takes one folder"),
        (["search", "x", "{tree}", "--limit", "0"], "limit must be 1..1000"),
        (["search", "x", "{tree}", "--lang", "klingon"], "no language klingon"),
        (["search", "x", "{tree}", "--kind", "widget"], "no kind 'widget'"),
        (["search", "x", "{tree}", "--lexical-only", "--vector-only"], "both off"),
        (["search", "x", "{tree}/auth/email.py"], "is a file"),
        (["similar", "auth/email.py", "{tree}"], "is not FILE:LINE"),
        (["similar", "auth/email.py:9999", "{tree}"], "has no line 9999: it ends at 20"),
        (["embed", "..."], "nothing in the text can be embedded"),
        (["eval", "{tree}/none.json", "{tree}"], "is no set of queries"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_input_is_named_and_exits_with_2(arguments: list[str], message: str, indexed: Path) -> None:
    done = run(*(argument.format(tree=indexed) for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named(indexed: Path) -> None:
    done = run("search", "x", indexed, MNEMOLITE_PERF_VECTOR_BACKEND="faiss")
    assert done.returncode == 2
    assert "setting perf_vector_backend in the environment is 'faiss'" in done.stderr


def test_a_damaged_index_is_named_and_rebuild_mends_it(indexed: Path) -> None:
    (indexed / ".mnemolite" / "memory.db").write_bytes(b"not a database at all" * 1000)
    done = run("search", "x", indexed)
    assert done.returncode == 2
    assert "mnemolite index rebuild" in done.stderr
    assert run("index", "rebuild", indexed).returncode == 0
    assert found("validate_email", indexed)[0]["path"] == "auth/email.py"


def test_the_model_that_made_an_index_goes_on_serving_it_while_it_is_there(indexed: Path, tmp_path: Path) -> None:
    def model(name: str, tokens: int) -> str:
        folder = Path(shutil.copytree(SHIPPED, tmp_path / name))
        manifest = json.loads((folder / "model.json").read_text()) | {"name": name, "max_tokens": tokens}
        (folder / "model.json").write_text(json.dumps(manifest))
        return str(folder)

    other, gone = model("other", 8), model("gone", 9)
    done = run("search", "--json", "--vector-only", "validate_email", indexed, MNEMOLITE_EMBEDDING_MODEL=other)
    answer = json.loads(done.stdout)
    assert answer["hits"][0]["ranks"].keys() == {"vector"}
    assert "served by mnemolite-static-1 " in answer["degraded"][0]

    assert run("index", "rebuild", indexed, MNEMOLITE_EMBEDDING_MODEL=gone).returncode == 0
    answer = json.loads(run("search", "--json", "validate_email", indexed, MNEMOLITE_EMBEDDING_MODEL=other).stdout)
    assert answer["hits"][0]["path"] == "auth/email.py"
    assert "vector" not in answer["hits"][0]["ranks"]
    assert "vectors of gone " in answer["degraded"][0] and "mnemolite index rebuild" in answer["degraded"][0]
    alone = run("search", "validate_email", indexed, "--vector-only", MNEMOLITE_EMBEDDING_MODEL=other)
    assert alone.returncode == 2


def test_a_model_cut_short_leaves_the_words(indexed: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(SHIPPED, tmp_path / "model"))
    os.truncate(model / "vectors.npy", 5000)
    done = run("search", "--json", "validate_email", indexed, MNEMOLITE_EMBEDDING_MODEL=str(model))
    answer = json.loads(done.stdout)
    assert answer["hits"][0]["path"] == "auth/email.py"
    assert "vectors.npy is cut short" in answer["degraded"][0]
    assert "vectors.npy is cut short" in run("doctor", indexed, MNEMOLITE_EMBEDDING_MODEL=str(model)).stdout


def test_a_foreign_database_is_refused_untouched(tree: Path) -> None:
    folder = tree / ".mnemolite"
    folder.mkdir()
    with sqlite3.connect(folder / "memory.db") as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    done = run("index", tree)
    assert done.returncode == 2
    assert "another program" in done.stderr
    database = sqlite3.connect(folder / "memory.db")
    assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    database.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written_is_an_error_and_no_traceback(indexed: Path, tmp_path: Path) -> None:
    run("note", "add", "pitfall", "Mail", cwd=indexed)
    for arguments in (["search", "mail", indexed], ["note", "export", "-"], ["status", indexed], ["--help"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=indexed
            )
        assert done.returncode == 2, arguments
        assert done.stderr.splitlines()[-1] == "mnemolite: cannot write the output: No space left on device"
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_obstacle(tree: Path, closed: str) -> None:
    done = subprocess.run(["sh", "-c", f'"$0" index "$1" {closed}', PROGRAM, tree], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert found("chargeOnce", tree)[0]["path"] == "pay/charge.ts"


@pytest.mark.skipif(sys.platform == "win32", reason="there an interrupt is of a whole console")
def test_an_interrupt_while_the_program_loads_ends_it_without_a_word(tmp_path: Path) -> None:
    code = "import os, signal, sys; from mnemolite import __main__ as program\n"
    code += "class Interrupted:\n"
    code += "    def find_spec(self, *_):\n        os.kill(os.getpid(), signal.SIGINT)\n"
    code += "sys.meta_path.insert(0, Interrupted()); program.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there a folder that is used cannot be removed")
def test_a_current_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    for command in ("search x", "index", "note list", "doctor"):
        (tmp_path / "gone").mkdir()
        script = f'cd gone && rmdir ../gone && "$0" {command}'
        done = subprocess.run(["sh", "-c", script, PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, ""), command
        assert "the current folder is gone" in done.stderr


def test_a_mistake_of_the_program_is_no_empty_answer(indexed: Path) -> None:
    code = "import sys; from mnemolite import __main__, memory; memory.Memory.search = None; __main__.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "search", "mail", indexed], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "a mistake of the program" in done.stderr


def test_search_imports_no_server_training_or_mcp_code(indexed: Path) -> None:
    code = "import sys; sys.argv[1:] = ['search', 'mail', sys.argv[1]]; from mnemolite.cli import run; run(); "
    code += "print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, indexed], capture_output=True, text=True, check=True)
    modules = set(eval(done.stderr.strip().splitlines()[-1]))
    loaded = {name.partition(".")[0] for name in modules}
    heavy = {"fastapi", "uvicorn", "torch", "mcp", "sqlalchemy", "celery", "redis", "grpc", "onnxruntime", "pydantic"}
    heavy |= {"tokenizers", "tree_sitter", "rich", "requests", "httpx", "sqlite_vec", "asyncio", "multiprocessing"}
    assert "numpy" in loaded
    assert not loaded & heavy
    assert "mnemolite.memory" in modules
    assert not modules & {"mnemolite.notebook", "mnemolite.records"}  # where there are no notes


def test_no_two_programs_serve_at_the_same_port_unless_told() -> None:
    commands = [cli.get_command(click.Context(cli), name) for name in cli.list_commands(click.Context(cli))]
    defaults = [(str(option.name), option.default) for command in commands if command for option in command.params]
    ports = [port for name, port in defaults if name.endswith("port") and isinstance(port, int) and port]
    assert len(ports) >= 4
    assert len(set(ports)) == len(ports)


def test_every_setting_has_its_effect(tree: Path) -> None:
    assert run("index", tree, MNEMOLITE_INDEX_DIR=".elsewhere", MNEMOLITE_WORKERS="1").returncode == 0
    assert (tree / ".elsewhere" / "memory.db").exists()
    assert not (tree / ".mnemolite").exists()
    small = run("index", tree, MNEMOLITE_MAX_FILE_BYTES="100")
    assert "too large" in small.stdout
    stats = run("stats", tree, "--json", MNEMOLITE_PERF_VECTOR_BACKEND="sqlite-vec", MNEMOLITE_INDEX_DIR=".elsewhere")
    assert json.loads(stats.stdout)["vector backend"] == "sqlite-vec"
    for weightless, done in (
        ("lexical", run("search", "--json", "validate_email", tree, MNEMOLITE_LEXICAL_WEIGHT="0")),
        ("vector", run("search", "--json", "validate_email", tree, MNEMOLITE_VECTOR_WEIGHT="0")),
    ):
        assert json.loads(done.stdout)["hits"][0]["ranks"][weightless]["contribution"] == 0
    asked = run(
        "stats", tree, "--memory", "--json", MNEMOLITE_PERF_CACHE_MAX_SIZE="7", MNEMOLITE_INDEX_DIR=".elsewhere"
    )
    assert json.loads(asked.stdout)["cached queries at most"] == 7
    added = run("note", "add", "bug", "x", "--json", MNEMOLITE_PROJECT="mine", MNEMOLITE_DATA_DIR=str(tree / "data"))
    assert json.loads(added.stdout)["project"] == "mine"
    assert (tree / "data" / "notes.db").exists()


def test_secrets_are_masked_and_named_unless_allowed(tree: Path) -> None:
    token = "glpat-" + "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=20))
    (tree / "deploy.sh").write_text(f"# release\nexport GITLAB_DEPLOY_TOKEN={token}\ncurl example.org\n")
    (tree / "prod.netrc").write_text("machine example.org\n")
    (tree / ".netrc").write_text("machine hidden.org\n")
    done = run("index", tree, "--verbose")
    assert "masked: 1 secrets in 1 of the files read" in done.stdout
    assert "GitLab token: deploy.sh:2" in done.stdout
    assert "secrets file: .netrc" in done.stdout
    snippet = found("gitlab deploy token", tree)[0]["snippet"]
    assert snippet == f"# release\nexport GITLAB_DEPLOY_TOKEN=glpat-{'*' * 20}\ncurl example.org\n"
    assert token.encode() not in (tree / ".mnemolite" / "memory.db").read_bytes()
    report = json.loads(run("index", "rebuild", tree, "--json").stdout)
    assert report["skipped"] == {"ignored": 1, "binary": 1, "secrets file": 1}
    assert report["masked"] == {"deploy.sh": [{"line": 2, "kind": "GitLab token"}]}
    done = run("index", "rebuild", tree, "--allow-secrets")
    assert "masked:" not in done.stdout
    assert token in found("gitlab deploy token", tree)[0]["snippet"]


def test_sqlite_vec_finds_what_numpy_finds(indexed: Path) -> None:
    numpy = [hit["path"] for hit in found("money back", indexed, "--vector-only")]
    done = run("search", "--json", "money back", indexed, "--vector-only", MNEMOLITE_PERF_VECTOR_BACKEND="sqlite-vec")
    assert [hit["path"] for hit in json.loads(done.stdout)["hits"]] == numpy
