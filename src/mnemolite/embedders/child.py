"""
A model in ONNX in a process of its own: when it is let go, all of its memory goes back to the system, that of the
runtime included, and should it crash, this process does not.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from mnemolite import ram
from mnemolite.child import START, death, module_folders, read, write
from mnemolite.embedders.configuration import Described, read_configuration
from mnemolite.embedders.onnx import OnnxEmbedder
from mnemolite.errors import EmbedderUnavailable, InvalidInput
from mnemolite.types import Role, Text

if TYPE_CHECKING:
    from mnemolite.types import Matrix

PACKAGES = ("msgspec", "numpy", "onnxruntime", "tokenizers")
AT_ONCE = 4  # calls that are answered at the same time: a query need not wait until an index has got its rows
_START = f"{START}from mnemolite.embedders.child import main; main()"
_READY = 0


class _Call(msgspec.Struct, array_like=True):
    number: int
    role: Role | None  # None: for the tokens of the only text
    texts: list[bytes | list[int]]


class _Answer(msgspec.Struct, array_like=True):
    number: int
    rows: bytes = b""  # float32 of vectors, int64 of tokens; of the first answer, how many tokens it takes
    failure: str = ""
    invalid: bool = False  # the failure is the text's


class ChildEmbedder(Described):
    """
    An :class:`~mnemolite.ports.Embedder`; making one loads the model. The process ends with this object; one that has
    ended by itself is followed by another at the next text.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, read_configuration(folder))
        self._starting = threading.Lock()
        self._child = self._started()

    @property
    def max_tokens(self) -> int:
        return int.from_bytes(self._running().ready.result(), "little")

    def tokens(self, text: str) -> Sequence[int]:
        import numpy as np

        found: list[int] = np.frombuffer(self._running().ask([text], None), np.int64).tolist()
        return found

    def embed(self, texts: Sequence[Text], role: Role) -> Matrix:
        import numpy as np

        answer = np.frombuffer(self._running().ask(texts, role), np.float32)
        return answer.reshape(len(texts), self._configuration.dimension)

    def _running(self) -> _Child:
        with self._starting:
            if self._child.ended:
                self._end()
                self._child = self._started()
            return self._child

    def _started(self) -> _Child:
        child = _Child(self._configuration.name, self._folder)
        self._end = weakref.finalize(self, child.end)
        child.ready.result()
        return child


class _Child:
    """A process and the thread that listens to it. Thread-safe."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        command = [sys.executable, "-I", "-c", _START, *module_folders(PACKAGES)]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise EmbedderUnavailable(f"cannot start {sys.executable!r} for the model {name}: {error}") from error
        ram.add_helper(self._process.pid)
        assert self._process.stdin is not None
        self._input: IO[bytes] = self._process.stdin
        self._lock = threading.Lock()
        self._calls = _READY
        self.ready: Future[bytes] = Future()
        self._awaited = {_READY: self.ready}
        self.ended = False
        threading.Thread(target=self._listen, name="mnemolite-model", daemon=True).start()
        self._send(bytes(folder.absolute()))

    def ask(self, texts: Sequence[Text], role: Role | None) -> bytes:
        answer: Future[bytes] = Future()
        with self._lock:
            self._calls += 1
            call = _Call(self._calls, role, [_packed(text) for text in texts])
            self._awaited[call.number] = answer
            if not self.ended:
                self._send(msgspec.msgpack.encode(call))
        if self.ended:  # and may not have seen this call
            self._fail()
        return answer.result()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        ram.remove_helper(self._process.pid)
        with suppress(OSError):  # what it had not read
            self._input.close()

    def _send(self, message: bytes) -> None:
        with suppress(OSError):  # it is dead, and the listener is about to say so
            write(self._input, message)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while (message := read(output)) is not None:
                answer = msgspec.msgpack.decode(message, type=_Answer)
                with self._lock:
                    awaited = self._awaited.pop(answer.number)
                if answer.invalid:
                    awaited.set_exception(InvalidInput(answer.failure))
                elif answer.failure:
                    awaited.set_exception(EmbedderUnavailable(answer.failure))
                else:
                    awaited.set_result(answer.rows)
        self.ended = True
        self._fail()

    def _fail(self) -> None:
        status = self._process.wait()
        with self._lock:
            lost, self._awaited = self._awaited, {}
        for awaited in lost.values():
            why = f"the process of the model {self._name} has ended ({death(status)})"
            awaited.set_exception(EmbedderUnavailable(why))


# In the child


def main() -> None:
    """Answers calls on standard input until it ends. The first message is the folder of the model."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    calls, answers = sys.stdin.buffer, sys.stdout.buffer
    folder = read(calls)
    if folder is None:
        return
    try:
        embedder = OnnxEmbedder(Path(folder.decode("utf-8", "surrogateescape")))
    except EmbedderUnavailable as error:
        write(answers, msgspec.msgpack.encode(_Answer(_READY, failure=str(error))))
        return
    write(answers, msgspec.msgpack.encode(_Answer(_READY, rows=embedder.max_tokens.to_bytes(8, "little"))))
    say = partial(_answer, embedder, answers, threading.Lock())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while (message := read(calls)) is not None:
            pool.submit(say, msgspec.msgpack.decode(message, type=_Call))


def _packed(text: Text) -> bytes | list[int]:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else list(text)


def _unpacked(text: bytes | list[int]) -> Text:
    return text.decode("utf-8", "surrogatepass") if isinstance(text, bytes) else tuple(text)


def _rows(embedder: OnnxEmbedder, texts: list[Text], role: Role | None) -> bytes:
    if role is not None:
        return embedder.embed(texts, role).tobytes()
    import numpy as np

    [text] = texts
    assert isinstance(text, str)
    return np.array(embedder.tokens(text), np.int64).tobytes()


def _answer(embedder: OnnxEmbedder, answers: IO[bytes], writing: threading.Lock, call: _Call) -> None:
    try:
        answer = _Answer(call.number, rows=_rows(embedder, [_unpacked(text) for text in call.texts], call.role))
    except InvalidInput as error:
        answer = _Answer(call.number, failure=str(error), invalid=True)
    except Exception as error:  # noqa: BLE001  whatever it is, somebody waits for an answer
        failure = str(error) if isinstance(error, EmbedderUnavailable) else f"{type(error).__name__}: {error}"
        answer = _Answer(call.number, failure=failure)
    with writing:
        write(answers, msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
