"""Uploads as a broken or hostile camera sends them: hypothesis strategies over real and forged photos."""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from PIL import Image

from tests.models.photo_files import chunk, every_kind, giants, save, textured
from tests.tiny_bundle import clean_photo, encode, scratched_photo

SUFFIXES = (".png", ".jpg", ".bmp", ".tiff", ".webp")
BOUNDARY = "cut"

Named = tuple[str, bytes, bytes | None]
Framed = tuple[str, Callable[[bytes], bytes], str]


@dataclass(frozen=True)
class Upload:
    """One request to `POST /inspect`.

    Attributes:
        what: how it was made, to be read when it fails.
        body, content_type, query, headers: the request.
        photo: the photo that the body carries.
        whole: of what this photo is a cut-off beginning, if it is one.
    """

    what: str
    body: bytes = field(repr=False)
    content_type: str
    query: str
    headers: tuple[tuple[str, str], ...]
    photo: bytes = field(repr=False)
    whole: bytes | None = field(repr=False)


def photos() -> dict[str, bytes]:
    """Whole photos of every format and kind that is taken."""
    painted = {
        f"{name}{suffix}": encode(paint(), suffix)
        for suffix in SUFFIXES
        for name, paint in (("clean", clean_photo), ("scratched", scratched_photo))
    }
    return {**every_kind(), **painted}


def forgeries() -> dict[str, bytes]:
    """Files that lie about what they are: giants, films, polyglots, bombs, and what is no photo."""
    whole_png, whole_jpeg = encode(clean_photo(), ".png"), encode(clean_photo(), ".jpg")
    frames = [Image.fromarray(textured()), Image.fromarray(textured()[::-1].copy())]
    bomb = chunk(b"zTXt", b"k\0\0" + _deflated(bytes(40_000_000)))
    return {
        **{f"giant {name}": data for name, data in giants().items()},
        "animated webp": _film(frames, "WEBP"),
        "animated png": _film(frames, "PNG"),
        "several pages": _film(frames, "TIFF"),
        "gif": save(textured(), "GIF"),
        "png and zip": whole_png + b"PK\x05\x06" + bytes(18),
        "jpeg and html": whole_jpeg + b"<script>alert(1)</script>",
        "pdf before jpeg": b"%PDF-1.7\n" + whole_jpeg,
        "png after jpeg": whole_jpeg + whole_png,
        "text bomb": whole_png[:33] + bomb + whole_png[33:],
        "endless exif": whole_jpeg[:2] + b"\xff\xe1\xff\xffExif\0\0II*\0" + b"\xff" * 65_000 + whole_jpeg[2:],
        "tiff in a circle": b"II*\0\x08\0\0\0\x01\0\0\x01\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",
        "one pixel": save(textured(1, 1), "PNG"),
        "one row": save(textured(1, 4_000), "JPEG"),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "zeros": bytes(2_000),
        "nothing": b"",
    }


def uploads() -> st.SearchStrategy[Upload]:
    """Any upload: a photo or forgery, damaged or not, in a body that is well made or not."""
    return st.builds(_upload, _photos(), _framings(), _queries(), _headers())


def _photos() -> st.SearchStrategy[Named]:
    kinds = [_cut(), _damaged(), _damaged(), _forged()]
    return st.sampled_from(kinds).flatmap(lambda kind: kind)


def _upload(named: Named, framed: Framed, query: str, headers: tuple[tuple[str, str], ...]) -> Upload:
    what, photo, whole = named
    how, frame, content_type = framed
    return Upload(f"{what}, {how}", frame(photo), content_type, query, headers, photo, whole)


def _cut() -> st.SearchStrategy[Named]:
    def cut(name: str, share: float) -> Named:
        at = min(int(share * len(files[name])), len(files[name]) - 1)
        return f"{name} cut at {at}", files[name][:at], files[name]

    files = photos()
    return st.builds(cut, st.sampled_from(sorted(files)), _shares())


def _shares() -> st.SearchStrategy[float]:
    # Floats would be 0 far too often: most photos would be empty.
    return st.integers(0, 9_999).map(lambda share: share / 10_000)


def _damaged() -> st.SearchStrategy[Named]:
    def damage(name: str, wounds: list[tuple[str, float, bytes]]) -> Named:
        data = bytearray(files[name])
        for kind, share, given in wounds:
            # Headers are short and matter most, so most of the wounds are near the beginning.
            at = int((share**4) * len(data))
            end = at + len(given) if kind != "insert" else at
            data[at:end] = b"" if kind == "lose" else given
        return f"{name} with {wounds}", bytes(data), None

    files = {**photos(), **{n: d for n, d in forgeries().items() if 0 < len(d) < 100_000}}
    kinds = st.sampled_from(["overwrite", "insert", "lose"])
    wound = st.tuples(kinds, _shares(), st.binary(min_size=1, max_size=8))
    return st.builds(damage, st.sampled_from(sorted(files)), st.lists(wound, max_size=4))


def _forged() -> st.SearchStrategy[Named]:
    files = forgeries()
    junk = st.builds(lambda magic, rest: ("junk", magic + rest, None), st.sampled_from(_MAGIC), st.binary())
    return st.one_of(st.sampled_from([(name, data, None) for name, data in files.items()]), junk)


_MAGIC = (
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"RIFF\xff\xff\xff\x7fWEBPVP8 ",
)


def _framings() -> st.SearchStrategy[Framed]:
    types = ["image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "application/octet-stream"]
    odd = ["", "text/plain", "image/svg+xml", "application/json", "multipart/form-data", "multipart/mixed"]
    raw = st.sampled_from([*types * 3, *odd]).map(lambda kind: (f"raw as {kind!r}", bytes, kind))
    form = f"multipart/form-data; boundary={BOUNDARY}"
    names = st.sampled_from(["image", "image", "image", "photo", "part", "", "image\0", 'ima"ge', "ß" * 200])
    files = st.sampled_from(["a.jpg", "../../etc/passwd", "C:\\x.png", "", "\0", "x" * 5_000, "a\r\nb: c"])
    heads = st.sampled_from(
        ["", "content-type: image/png\r\n", "x: y\r\n" * 20, "content-type: " + "x" * 9_000]
    )
    tails = st.sampled_from(
        [f"--{BOUNDARY}--\r\n", f"--{BOUNDARY}--\r\n", "", f"--{BOUNDARY}", "--other--\r\n"]
    )
    texts = st.lists(
        st.tuples(st.sampled_from(["part", "serial", "camera", "x"]), st.text(max_size=20)), max_size=6
    )

    def multipart(name: str, file: str, head: str, tail: str, fields: list[tuple[str, str]]) -> Framed:
        def frame(photo: bytes) -> bytes:
            disposition = f'form-data; name="{name}"; filename="{file}"'
            start = f"--{BOUNDARY}\r\ncontent-disposition: {disposition}\r\n{head}\r\n"
            others = "".join(
                f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
                for key, value in fields
            )
            return others.encode(errors="replace") + start.encode() + photo + b"\r\n" + tail.encode()

        return f"form {(name, file[:20], head[:20], tail, fields)}", frame, form

    forms = st.builds(multipart, names, files, heads, tails, texts)
    return st.sampled_from([raw, raw, raw, raw, forms]).flatmap(lambda kind: kind)


def _queries() -> st.SearchStrategy[str]:
    hostile = [
        "?part=../../etc/passwd",
        "?part=%00",
        "?serial=%ff",
        "?part=bracket&part=bracket",
        "?x=1",
        "?%",
    ]
    return st.sampled_from([*[""] * 12, "?overlay=none", "?overlay=png", "?serial=A17&camera=cam3", *hostile])


def _headers() -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    odd = [("accept", "image/png"), ("accept", ";;q=x,"), ("x-deadline-ms", "-1"), ("content-encoding", "br")]
    return st.sampled_from([*[()] * 12, *[(header,) for header in odd]])


def _film(frames: list[Image.Image], form: str) -> bytes:
    stream = io.BytesIO()
    frames[0].save(stream, form, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def _deflated(data: bytes) -> bytes:

    return zlib.compress(data)
