"""NumPy's archive of arrays by name (a ZIP of .npy files), in and out: read in memory, and never more of it than was declared."""

import io
import zipfile
from collections.abc import Mapping

from app.codecs import npy
from app.codecs.call import Call, Encoded, ModelTag
from app.codecs.unpacked import check_unpacked
from app.errors import Invalid, Problem, Unreadable
from app.tensors import Signature, Value, escaped

_ENTRY = b"PK\x01\x02"
# No model has as many inputs; each entry costs zipfile a hundred times its bytes.
_MOST_ENTRIES = 4096
_ENCRYPTED = 0x1


def decode(body: bytes, parameters: Mapping[str, str], signature: Signature) -> Call:  # noqa: ARG001 - it has none
    """Read the inputs by name; ``arr_0`` is the one input of a model. See :class:`app.codecs.call.Reader`."""
    members = _members(body)
    if members.keys() == {"arr_0"} and len(signature.inputs) == 1:
        members = {signature.inputs[0].name: members["arr_0"]}
    signature.check_input_names(members, "")
    places = {name: f"/{escaped(name)}" for name in signature.input_by_name}
    inputs: dict[str, Value] = dict.fromkeys(signature.input_by_name)
    for name, data in members.items():
        inputs[name] = npy.tensor(npy.read(data, f"array '{name[:64]}'"), signature.input_by_name[name], places[name])
    return npy.checked(inputs, signature, places)


def encode(call: Call, signature: Signature, tag: ModelTag, outputs: Mapping[str, Value]) -> Encoded:  # noqa: ARG001 - names no model
    """Write the outputs by name; see :class:`app.codecs.call.Writer`."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name in call.outputs:
            # The time that ZIP begins with, so that equal answers are equal bytes.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), npy.write(name, outputs[name], call, signature))
    return Encoded(body.getvalue(), "application/x-npz")


def _members(body: bytes) -> dict[str, bytes]:
    if body.count(_ENTRY) > _MOST_ENTRIES:
        raise Unreadable(f"The archive has over {_MOST_ENTRIES} entries.")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            entries = archive.infolist()
            check_entries(entries)
            check_unpacked(sum(entry.file_size for entry in entries), body)
            # zipfile gives no more than the size an entry declares, and refuses what has another size or checksum.
            return {entry.filename.removesuffix(".npy"): archive.read(entry) for entry in entries}
    except Problem:
        raise
    except Exception as error:
        # What a damaged archive raises is not documented: BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, …
        raise Unreadable("The file is not in NumPy's .npz format, or damaged.") from error


def check_entries(entries: list[zipfile.ZipInfo]) -> None:
    """Check an archive's table of contents.

    :raises Invalid: for what ``np.savez`` does not write.
    """
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        if not name.endswith(".npy"):
            raise Invalid(f"The archive holds '{name[:64]}', which is no .npy file.")
        if name in seen:
            raise Invalid(f"The archive holds '{name[:64]}' twice.")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise Invalid(f"'{name[:64]}' is encrypted or packed otherwise than np.savez and np.savez_compressed do.")
        seen.add(name)
