"""The embedding service: what its calls give, by whom it may be asked, and what it says of itself."""

from __future__ import annotations

import datetime
import shutil
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from msgspec import structs

from mnemolite.cli import cli
from mnemolite.embedders.hashing import HashingEmbedder
from mnemolite.embedders.static import SHIPPED, StaticEmbedder
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.ports import Embedder
from mnemolite.proto import embedding_pb2 as wire
from mnemolite.proto.embedding_pb2_grpc import EmbeddingServiceStub
from mnemolite.serve.embedder import EmbeddingProcess
from mnemolite.serve.embedding import NAME
from mnemolite.serve.security import Access, Keys
from mnemolite.settings import Settings
from mnemolite.types import Domain, Role
from mnemolite.wiring import open_models

TEXTS = ["validate an email", "charge a card once", ""]
Start = Callable[..., EmbeddingProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[EmbeddingProcess] = []

    def started(*, load: bool = True, **settings: Any) -> EmbeddingProcess:
        process = EmbeddingProcess(
            structs.replace(Settings(ram_budget_mb=100_000), data_dir=str(tmp_path), **settings), "127.0.0.1", 0, 0
        )
        processes.append(process)
        if load:
            process.load()
        return process

    yield started
    for process in processes:
        process.end()


def channel(process: EmbeddingProcess) -> grpc.Channel:
    return grpc.insecure_channel(f"127.0.0.1:{process.grpc_port}", options=[("grpc.enable_http_proxy", 0)])


def client(process: EmbeddingProcess, **more: Any) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{process.port}", trust_env=False, timeout=60, **more)


def remote(process: EmbeddingProcess, **settings: Any) -> Embedder:
    """As a server has it that is configured with the service's URL."""
    url = f"grpc://localhost:{process.grpc_port}/"
    chosen = structs.replace(
        Settings(ram_budget_mb=100_000), embedding_service_url=url, perf_cache_max_size=0, **settings
    )
    return open_models(chosen).embedders[0]


def test_the_specified_calls_give_packed_floats_or_bytes(start: Start) -> None:
    expected = StaticEmbedder().embed(TEXTS, Role.QUERY)
    with channel(start()) as opened:
        stub = EmbeddingServiceStub(opened)  # type: ignore[no-untyped-call]
        single = stub.GenerateEmbedding(wire.EmbeddingRequest(text=TEXTS[0]), timeout=60)
        assert np.array_equal(np.array(single.embedding_text, np.float32), expected[0])
        assert not single.embedding_code and single.generation_time_ms > 0
        both = stub.GenerateEmbeddingsBatch(wire.BatchEmbeddingRequest(texts=TEXTS, domain="HYBRID"), timeout=60)
        assert np.array_equal([each.embedding_text for each in both.embeddings], expected)
        assert np.array_equal([each.embedding_code for each in both.embeddings], expected)
        requests = [
            wire.BatchEmbeddingRequest(texts=TEXTS, domain="code", form=wire.BYTES, role=role)
            for role in (wire.PASSAGE, wire.QUERY)
        ]
        for answer in stub.StreamEmbeddings(iter(requests), timeout=60):
            packed = answer.vectors_code
            assert (packed.dim, packed.dtype) == (384, wire.FLOAT32)
            assert np.array_equal(np.frombuffer(packed.data, "<f4").reshape(-1, 384), expected)
            assert not answer.embeddings and not answer.vectors_text.data
        for wrong, named in (
            (wire.BatchEmbeddingRequest(texts=TEXTS, domain="prose"), "no domain 'prose'"),
            (wire.BatchEmbeddingRequest(texts=["x"] * 3000), "3,000 texts, 2,048 at most"),
            (wire.BatchEmbeddingRequest(texts=["x"], tokens={0: wire.Tokens(ids=[1])}), "for text 0"),
        ):
            with pytest.raises(grpc.RpcError, match=named) as refused:
                stub.GenerateEmbeddingsBatch(wrong, timeout=60)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_field_numbers_are_those_that_existing_clients_send() -> None:
    def numbers(message: Any) -> dict[str, int]:
        return {field.name: field.number for field in message.DESCRIPTOR.fields}

    assert {"text": 1, "domain": 2}.items() <= numbers(wire.EmbeddingRequest).items()
    own = {"embedding_text": 1, "embedding_code": 2, "generation_time_ms": 3}
    assert own.items() <= numbers(wire.EmbeddingResponse).items()
    assert {"texts": 1, "domain": 2}.items() <= numbers(wire.BatchEmbeddingRequest).items()
    assert {"embeddings": 1, "total_time_ms": 2}.items() <= numbers(wire.BatchEmbeddingResponse).items()
    single = wire.EmbeddingResponse(embedding_text=[1.0, 2.0]).SerializeToString()
    assert single == bytes([0x0A, 8]) + np.array([1, 2], "<f4").tobytes()  # packed


def test_both_doors_say_when_it_is_ready_and_what_can_be_asked(start: Start) -> None:
    process = start(load=False)
    asked = health_pb2.HealthCheckRequest(service=NAME)
    with channel(process) as opened, client(process) as http:
        health = health_pb2_grpc.HealthStub(opened)
        assert health.Check(asked, timeout=60).status == health_pb2.HealthCheckResponse.NOT_SERVING  # type: ignore[attr-defined]
        assert http.get("/health").status_code == 200
        assert (http.get("/ready").status_code, http.get("/ready").json()["status"]) == (503, "not ready")
        process.load()
        assert health.Check(asked, timeout=60).status == health_pb2.HealthCheckResponse.SERVING  # type: ignore[attr-defined]
        assert http.get("/ready").json() == {"status": "ready", "models": ["mnemolite-static-1"]}
        assert set(ProtoReflectionDescriptorDatabase(opened).get_services()) == {
            "EmbeddingService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        expected = StaticEmbedder().embed(TEXTS, Role.PASSAGE)
        body = {"input": TEXTS, "model": "mnemolite-static-1"}
        answer = http.post("/v1/embeddings", json=body).json()
        assert np.array_equal(np.array([each["embedding"] for each in answer["data"]], np.float32), expected)
        assert np.array_equal(np.array(http.post("/embed", json={"inputs": TEXTS}).json(), np.float32), expected)
        series = {line.split("{")[0].split(" ")[0] for line in http.get("/metrics").text.splitlines()}
        for name in ("queue_tokens", "queue_wait_seconds_sum", "batch_texts_sum", "batch_tokens_sum", "dropped_total"):
            assert f"embedding_{name}" in series


def test_without_a_valid_key_nobody_is_answered(start: Start, tmp_path: Path) -> None:
    _, token = Keys(tmp_path / "keys.json").create("api", Access.READ)
    process = start()
    assert remote(process, embedding_service_token=token).embed(["x"], Role.QUERY).any()
    for wrong in ("", "mnl_1_2"):
        with pytest.raises(EmbedderUnavailable, match="refuses the token; set embedding_service_token"):
            remote(process, embedding_service_token=wrong).embed(["x"], Role.QUERY)
    with channel(process) as opened, client(process) as http:
        asked = health_pb2.HealthCheckRequest(service=NAME)
        assert health_pb2_grpc.HealthStub(opened).Check(asked, timeout=60)  # type: ignore[attr-defined]
        assert http.post("/embed", json={"inputs": "x"}).status_code == 401
    with pytest.raises(InvalidInput, match="make a key"):
        EmbeddingProcess(
            structs.replace(Settings(ram_budget_mb=100_000), data_dir=str(tmp_path / "none")), "0.0.0.0", 0, 0
        )


def test_with_a_certificate_both_doors_speak_tls(start: Start, tmp_path: Path) -> None:
    key, certificate = write_certificate(tmp_path)
    process = start(embedder_tls_key=str(key), embedder_tls_certificate=str(certificate))
    url = f"grpcs://localhost:{process.grpc_port}"
    settings = structs.replace(
        Settings(ram_budget_mb=100_000), embedding_service_url=url, embedding_service_ca=str(certificate)
    )
    assert open_models(settings).embed("retry").any()
    with pytest.raises(EmbedderUnavailable, match="does not answer"):
        open_models(structs.replace(settings, embedding_service_ca="")).embed("retry")
    with pytest.raises(EmbedderUnavailable, match="does not answer"):
        remote(process).embed(["x"], Role.QUERY)
    with pytest.raises(InvalidInput, match="embedding_service_ca is /no, which cannot be read"):
        open_models(structs.replace(settings, embedding_service_ca="/no"))
    context = ssl.create_default_context(cafile=str(certificate))
    answer = httpx.get(f"https://localhost:{process.port}/health", verify=context, trust_env=False)
    assert answer.status_code == 200


def test_a_service_of_other_domains_than_wanted_is_named(start: Start) -> None:
    process = start()
    wanted = "has models for hybrid, and one for text is wanted; set text_embedding_model"
    with pytest.raises(EmbedderUnavailable, match=wanted):
        remote(process, text_embedding_model="nomic-embed-text-v1.5").embed(["x"], Role.QUERY)


def test_two_models_are_served_by_one_process_each_to_its_domain(start: Start, tmp_path: Path) -> None:
    other = Path(shutil.copytree(SHIPPED, tmp_path / "other"))
    text = (other / "model.json").read_text().replace('"max_tokens": 1024', '"max_tokens": 2')
    (other / "model.json").write_text(text.replace("mnemolite-static-1", "short-sighted"))
    models = {"text_embedding_model": str(SHIPPED), "code_embedding_model": str(other)}
    process = start(**models)
    url = f"grpc://127.0.0.1:{process.grpc_port}"
    memory = open_models(structs.replace(Settings(ram_budget_mb=100_000), embedding_service_url=url, **models))
    assert [(each.space.domain, each.space.model) for each in memory.embedders] == [
        (Domain.TEXT, "mnemolite-static-1"),
        (Domain.CODE, "short-sighted"),
    ]
    long = "retry a card once"
    for domain, folder in ((Domain.TEXT, SHIPPED), (Domain.CODE, other)):
        assert np.array_equal(memory.embed(long, domain), StaticEmbedder(folder).embed([long], Role.QUERY)[0])
    with channel(process) as opened:
        stub = EmbeddingServiceStub(opened)  # type: ignore[no-untyped-call]
        both = stub.GenerateEmbedding(wire.EmbeddingRequest(text=long, domain="HYBRID"), timeout=60)
    assert np.array_equal(np.array(both.embedding_text, np.float32), memory.embed(long, Domain.TEXT))
    assert np.array_equal(np.array(both.embedding_code, np.float32), memory.embed(long, Domain.CODE))


def test_mode_mock_needs_no_model(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDING_MODE", "mock")
    settings = Settings.load()
    expected = HashingEmbedder().embed(["retry a card"], Role.QUERY)[0]
    assert np.array_equal(open_models(settings).embed("retry a card", Domain.CODE), expected)
    process = start(embedding_mode="mock", embedding_model="/nowhere")
    assert np.array_equal(remote(process).embed(["retry a card"], Role.QUERY)[0], expected)
    monkeypatch.setenv("EMBEDDING_MODE", "fake")
    with pytest.raises(InvalidInput, match="embedding_mode in the environment is 'fake'"):
        Settings.load()


def test_the_command_line_uses_the_service_it_is_told_of(
    start: Start, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    monkeypatch.setenv("EMBEDDING_SERVICE_URL", f"grpc://127.0.0.1:{process.grpc_port}, grpc://localhost:1")
    run = CliRunner()
    assert run.invoke(cli, ["index", str(tree)]).exit_code == 0
    assert "vector" in run.invoke(cli, ["search", "is a mail address valid?", str(tree), "--explain"]).output
    assert f"mnemolite-static-1, 384 dimensions, at grpc://127.0.0.1:{process.grpc_port}" in (
        run.invoke(cli, ["doctor", str(tree)]).output
    )
    with client(process) as http:
        embedded = [line for line in http.get("/metrics").text.splitlines() if line.startswith("embedded_texts_total")]
        assert float(embedded[0].split()[1]) > 5
    monkeypatch.setenv("EMBEDDING_SERVICE_URL", "http://localhost:8002")
    with pytest.raises(InvalidInput, match=r"embedding_service_url in the environment is 'http://localhost:8002'"):
        Settings.load()
    monkeypatch.delenv("EMBEDDING_SERVICE_URL")
    (tree / "mnemolite.toml").write_text('embedding_service_url = "grpc://elsewhere:1"')
    with pytest.raises(InvalidInput, match="only the user's own settings may say who reads the code"):
        Settings.load(tree)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Of localhost, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(private)
    files[1].write_bytes(certificate.public_bytes(pem))
    return files
