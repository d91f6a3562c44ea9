import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemolite.codec import pack, unpack
from mnemolite.errors import InvalidInput

components = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=800)


@given(components)
def test_a_component_is_off_by_at_most_half_a_level(values: list[float]) -> None:
    vector = np.array(values, np.float32)
    half = np.abs(vector).max() / 254
    assert np.abs(unpack(pack(vector)) - vector).max() <= half * 1.001 + 1e-30


def test_the_norm_survives() -> None:
    vector = np.random.default_rng(0).normal(size=768).astype(np.float32) * 7
    assert np.linalg.norm(unpack(pack(vector))) == pytest.approx(np.linalg.norm(vector), rel=0.01)


def test_a_packed_vector_of_768_is_a_kilobyte() -> None:
    assert len(pack(np.ones(768, np.float32))) == 1032


def test_zeros_stay_zeros() -> None:
    assert not unpack(pack(np.zeros(8, np.float32))).any()


def test_a_text_without_scale_is_read_at_unit_length() -> None:
    levels = np.array([3, -4], np.int8)
    text = base64.b64encode(levels.tobytes()).decode()
    assert unpack(text, dimension=2).tolist() == pytest.approx([0.6, -0.8])


@pytest.mark.parametrize("text", ["", "not base64!", "AAAA", base64.b64encode(b"\x00\x00\x80\x7f\x01").decode()])
def test_what_is_no_packed_vector_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        unpack(text)


def test_another_dimension_is_refused_naming_both() -> None:
    with pytest.raises(InvalidInput, match="must hold 7 bytes, holds 6"):
        unpack(pack(np.ones(2, np.float32)), dimension=3)


@pytest.mark.parametrize("vector", [np.zeros(0), np.zeros((2, 2)), np.array([1.0, np.nan])])
def test_what_cannot_be_packed_is_refused(vector: np.ndarray) -> None:
    with pytest.raises(InvalidInput):
        pack(vector.astype(np.float32))
