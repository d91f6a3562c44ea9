from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUERY: _ClassVar[Role]
    PASSAGE: _ClassVar[Role]

class Form(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLOATS: _ClassVar[Form]
    BYTES: _ClassVar[Form]

class DType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLOAT32: _ClassVar[DType]
QUERY: Role
PASSAGE: Role
FLOATS: Form
BYTES: Form
FLOAT32: DType

class EmbeddingRequest(_message.Message):
    __slots__ = ("text", "domain", "role", "form", "fingerprint")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    text: str
    domain: str
    role: Role
    form: Form
    fingerprint: str
    def __init__(self, text: _Optional[str] = ..., domain: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., form: _Optional[_Union[Form, str]] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class EmbeddingResponse(_message.Message):
    __slots__ = ("embedding_text", "embedding_code", "generation_time_ms", "vectors_text", "vectors_code")
    EMBEDDING_TEXT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_CODE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTORS_CODE_FIELD_NUMBER: _ClassVar[int]
    embedding_text: _containers.RepeatedScalarFieldContainer[float]
    embedding_code: _containers.RepeatedScalarFieldContainer[float]
    generation_time_ms: float
    vectors_text: Vectors
    vectors_code: Vectors
    def __init__(self, embedding_text: _Optional[_Iterable[float]] = ..., embedding_code: _Optional[_Iterable[float]] = ..., generation_time_ms: _Optional[float] = ..., vectors_text: _Optional[_Union[Vectors, _Mapping]] = ..., vectors_code: _Optional[_Union[Vectors, _Mapping]] = ...) -> None: ...

class BatchEmbeddingRequest(_message.Message):
    __slots__ = ("texts", "domain", "role", "form", "fingerprint", "tokens")
    class TokensEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: Tokens
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[Tokens, _Mapping]] = ...) -> None: ...
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    domain: str
    role: Role
    form: Form
    fingerprint: str
    tokens: _containers.MessageMap[int, Tokens]
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., domain: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., form: _Optional[_Union[Form, str]] = ..., fingerprint: _Optional[str] = ..., tokens: _Optional[_Mapping[int, Tokens]] = ...) -> None: ...

class BatchEmbeddingResponse(_message.Message):
    __slots__ = ("embeddings", "total_time_ms", "vectors_text", "vectors_code")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTORS_CODE_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[EmbeddingResponse]
    total_time_ms: float
    vectors_text: Vectors
    vectors_code: Vectors
    def __init__(self, embeddings: _Optional[_Iterable[_Union[EmbeddingResponse, _Mapping]]] = ..., total_time_ms: _Optional[float] = ..., vectors_text: _Optional[_Union[Vectors, _Mapping]] = ..., vectors_code: _Optional[_Union[Vectors, _Mapping]] = ...) -> None: ...

class Vectors(_message.Message):
    __slots__ = ("data", "dim", "dtype")
    DATA_FIELD_NUMBER: _ClassVar[int]
    DIM_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    dim: int
    dtype: DType
    def __init__(self, data: _Optional[bytes] = ..., dim: _Optional[int] = ..., dtype: _Optional[_Union[DType, str]] = ...) -> None: ...

class Tokens(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class TokenizeRequest(_message.Message):
    __slots__ = ("texts", "domain", "fingerprint")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    domain: str
    fingerprint: str
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., domain: _Optional[str] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class TokenizeResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Tokens]
    def __init__(self, tokens: _Optional[_Iterable[_Union[Tokens, _Mapping]]] = ...) -> None: ...

class InfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InfoResponse(_message.Message):
    __slots__ = ("models", "version")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    version: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., version: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("domain", "name", "dimension", "fingerprint", "max_tokens", "moderate", "high", "loaded")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MODERATE_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    domain: str
    name: str
    dimension: int
    fingerprint: str
    max_tokens: int
    moderate: float
    high: float
    loaded: bool
    def __init__(self, domain: _Optional[str] = ..., name: _Optional[str] = ..., dimension: _Optional[int] = ..., fingerprint: _Optional[str] = ..., max_tokens: _Optional[int] = ..., moderate: _Optional[float] = ..., high: _Optional[float] = ..., loaded: _Optional[bool] = ...) -> None: ...
