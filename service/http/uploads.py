"""Reads a photo from a request's body, raw or multipart, counting its bytes as they arrive."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from models.errors import PhotoError
from models.formats import MEDIA_TYPES
from service.errors import RequestError
from service.http.fields import NAMES

RAW_TYPES = (*MEDIA_TYPES.values(), "application/octet-stream")
MULTIPART = "multipart/form-data"
IMAGE_FIELD = "image"

# Boundaries, part headers and the other fields of a form may come on top of the photo.
FORM_OVERHEAD_BYTES = 64 * 1024
_FIELD_BYTES = 1024


@dataclass(frozen=True)
class Upload:
    """An encoded photo and the form fields that came with it."""

    data: bytes
    form: tuple[tuple[str, str], ...] = ()


async def read_upload(request: Request, max_bytes: int) -> Upload:
    """Read the photo from the body. A larger one is refused as soon as its bytes exceed the limit,
    whatever its Content-Length says. The content type of a raw body only has to be one that is taken: the
    photo's own bytes tell its format.

    Raises:
        PhotoError: `too_many_bytes`.
        RequestError: `unsupported_media_type`, `malformed_body` or `bad_field`.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(
            "unsupported_media_type",
            f"The body is encoded as {request.headers['content-encoding'][:64]!r}.",
            "Send the photo's bytes as they are, without Content-Encoding.",
        )
    if content_type == MULTIPART:
        _check_charset(request)
        return await _read_form(request, max_bytes)
    if content_type not in RAW_TYPES:
        raise RequestError(
            "unsupported_media_type",
            f"The content type is {content_type[:64]!r}." if content_type else "There is no content type.",
            f"Send the photo's bytes with one of {', '.join(RAW_TYPES)}, or a form as {MULTIPART}.",
        )
    chunks = [chunk async for chunk in _counted(request, max_bytes, max_bytes)]
    return Upload(b"".join(chunks))


def _check_charset(request: Request) -> None:
    # The parser takes any codec that Python knows, some of which give text that cannot be sent back.
    _, parameters = parse_options_header(request.headers["content-type"])
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in ("utf-8", "utf8", "us-ascii"):
        raise RequestError(
            "unsupported_media_type",
            f"The form is encoded as {charset[:64]!r}.",
            "Encode the form's fields as UTF-8.",
        )


async def _counted(request: Request, largest_body: int, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Pass the body on in pieces until it proves, or says of itself, to be too large."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > largest_body:
        raise _too_many(max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > largest_body:
            raise _too_many(max_bytes)
        yield chunk


class _InMemoryParser(MultiPartParser):
    """Keeps the photo in memory, since the disk may be read-only, and refuses a form that was cut off."""

    spool_max_size = 0  # means: never spool to disk

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            headers,
            self._until_whole(stream),
            max_files=1,
            max_fields=len(NAMES),
            max_part_size=_FIELD_BYTES,
        )
        self._whole = False

    def on_end(self) -> None:
        self._whole = True

    async def _until_whole(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in stream:
            yield chunk
        if not self._whole:
            # Fields behind the cut, such as the serial, would be missing unnoticed.
            raise MultiPartException("It ends before its last boundary.")


async def _read_form(request: Request, max_bytes: int) -> Upload:
    body = _counted(request, max_bytes + FORM_OVERHEAD_BYTES, max_bytes)
    try:
        form = await _InMemoryParser(request.headers, body).parse()
    except MultiPartException as error:
        raise RequestError(
            "malformed_body",
            f"The form cannot be read: {error.message.rstrip('.')}.",
            "Send the form again, whole, as multipart/form-data.",
        ) from error
    try:
        return await _take_photo(form.multi_items())
    finally:
        await form.close()


async def _take_photo(items: Sequence[tuple[str, str | UploadFile]]) -> Upload:
    files = [(name, value) for name, value in items if isinstance(value, UploadFile)]
    if [name for name, _ in files] != [IMAGE_FIELD]:
        raise RequestError(
            "bad_field",
            f"The form has no file in its field `{IMAGE_FIELD}`.",
            f"Send the photo as a file in it, for example: curl -F {IMAGE_FIELD}=@part.jpg",
        )
    fields = tuple((name, value) for name, value in items if isinstance(value, str))
    return Upload(await files[0][1].read(), fields)


def _too_many(max_bytes: int) -> PhotoError:
    return PhotoError(
        "too_many_bytes",
        f"The photo has more than the {max_bytes:,} bytes that are taken.",
        "Send it as JPEG, or crop it to the part.",
    )
