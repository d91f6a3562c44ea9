"""An archive is whole, or it is refused."""

from __future__ import annotations

import random
from pathlib import Path

from mnemolite.archive import Part, pack, unpack
from mnemolite.errors import MnemoError


def test_whichever_byte_of_an_archive_is_wrong_it_is_refused_or_holds_what_it_held(tmp_path: Path) -> None:
    files = {"notes.db": b"many words " * 200, "keys.json": random.Random(1).randbytes(300)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    file, folder = tmp_path / "saved.zip", tmp_path / "out"
    pack(file, "1.0", {name: (tmp_path / name, Part(schema="1", counts={"notes": 2})) for name in files})
    folder.mkdir()
    assert unpack(file, folder).parts["notes.db"].counts == {"notes": 2}
    whole, refused = file.read_bytes(), 0
    places = range(0, len(whole), 3)
    for at in places:
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        try:
            unpack(file, folder)
        except MnemoError:
            refused += 1
        else:
            assert {name: (folder / name).read_bytes() for name in files} == files
    assert refused > 0.7 * len(places)  # the others are dates, rights and the like
