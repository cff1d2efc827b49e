"""DeepEM's PyTorch weights are read without PyTorch; a file that would run code is refused."""

import collections
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest

from network_models.dem_regression.deepem.convert import deepem_from_torch, main
from network_models.files.torch_weights import read_state_dictionary

SHAPES = [
    ("0.weight", (300, 6, 1, 1)),
    ("0.bias", (300,)),
    ("2.weight", (300, 300, 1, 1)),
    ("2.bias", (300,)),
    ("4.weight", (18, 300, 1, 1)),
    ("4.bias", (18,)),
]


class Storage:
    """Stands for a storage while the test writes its file."""

    def __init__(self, key, values):
        self.key, self.values = key, values


class Tensor:
    """Pickles as PyTorch's tensors do."""

    def __init__(self, storage, offset, shape, stride):
        self.parts = (storage, offset, shape, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


@pytest.fixture
def torch_names(monkeypatch):
    """Return modules of PyTorch's names, for the names alone that pickle writes down."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError("the reader called something")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in ("FloatStorage", "DoubleStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    torch._utils = utils
    torch.Tensor = type("Tensor", (), {})  # scipy asks whether an array is one
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


def pickled(value, torch, *, kind="FloatStorage", legacy=False):
    import io

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if isinstance(item, Storage):
                more = (None,) if legacy else ()
                n = len(item.values)
                return ("storage", getattr(torch, kind), item.key, "cpu", n, *more)
            return None

    stream = io.BytesIO()
    Pickler(stream, 2).dump(value)
    return stream.getvalue()


def weights(seed=0, shapes=SHAPES):
    generator = np.random.default_rng(seed)
    return {name: generator.uniform(-0.1, 0.1, shape).astype(np.float32) for name, shape in shapes}


def state_of(tensors):
    """Return the dictionary that PyTorch would pickle, and its storages."""
    state, storages = collections.OrderedDict(), {}
    for k, (name, values) in enumerate(tensors.items()):
        storages[str(k)] = Storage(str(k), values.ravel())
        stride = tuple(s // values.itemsize for s in values.strides)
        state[name] = Tensor(storages[str(k)], 0, values.shape, stride)
    state._metadata = collections.OrderedDict([("", {"version": 1})])
    return state, storages


def write_zip(path, tensors, torch, *, kind="FloatStorage", program=None, cut=0):
    state, storages = state_of(tensors)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program or pickled(state, torch, kind=kind))
        archive.writestr("archive/byteorder", "little")
        for key, storage in storages.items():
            data = storage.values.tobytes()
            archive.writestr(f"archive/data/{key}", data[: len(data) - cut])
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path, tensors, torch):
    state, storages = state_of(tensors)
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    parts = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, system)]
    parts += [pickled(state, torch, legacy=True), pickle.dumps(sorted(storages), 2)]
    for key in sorted(storages):
        values = storages[key].values
        parts += [struct.pack("<q", len(values)), values.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_both_formats_are_read_exactly(tmp_path, torch_names, write):
    tensors = weights()
    found = read_state_dictionary(write(tmp_path / "w.pth", tensors, torch_names))
    assert list(found) == list(tensors)
    for name, values in tensors.items():
        np.testing.assert_array_equal(found[name], values)


def test_converted_network_is_the_three_matrix_products(tmp_path, torch_names, generator, capsys):
    tensors = weights(seed=4)
    path = write_zip(tmp_path / "w.pth", tensors, torch_names)
    assert main([str(path), "--output", str(tmp_path / "deepem.keras")]) == 0
    assert "deepem.keras" in capsys.readouterr().out
    from network_models.files.safe_loading import load_network

    dn = generator.normal(50, 60, (1, 5, 6, 6)).astype(np.float32)
    x = np.sqrt(np.maximum(dn, 0)).astype(float)
    for number in (0, 2, 4):  # PyTorch: y_out = sum over in of W[out, in] x_in + b
        x = np.einsum("oi,...i->...o", tensors[f"{number}.weight"][:, :, 0, 0], x)
        x = x + tensors[f"{number}.bias"]
        x = np.where((x > 0) | (number == 4), x, 0.01 * x)
    em = load_network(tmp_path / "deepem.keras").predict({"aia": dn}, verbose=0)
    np.testing.assert_allclose(em, 1e25 * x**2, rtol=1e-3, atol=1e20)  # float32 sums


def test_a_view_with_strides_and_offset_is_read_as_such(tmp_path, torch_names):
    values = np.arange(24, dtype=np.float32)
    state = {"part": Tensor(Storage("0", values), 4, (3, 2), (1, 10))}
    path = tmp_path / "view.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled(state, torch_names))
        archive.writestr("a/data/0", values.tobytes())
    found = read_state_dictionary(path)["part"]
    # element (i, j) lies at 4 + i + 10 j
    np.testing.assert_array_equal(found, [[4, 14], [5, 15], [6, 16]])


class Malicious:
    def __reduce__(self):
        import os

        return os.system, ("touch {}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_program_is_refused_and_not_run(tmp_path, torch_names, protocol):
    class Opener:
        def __reduce__(self):
            return open, (str(tmp_path / "was_run"), "w")

    for value in (Opener(), {"0.weight": Opener()}, [Malicious()]):
        program = pickle.dumps(value, protocol)
        path = write_zip(tmp_path / "bad.pth", weights(), torch_names, program=program)
        with pytest.raises(ValueError, match="is not read: "):
            read_state_dictionary(path)
        (tmp_path / "bare.pth").write_bytes(program)
        with pytest.raises(ValueError, match=r"bare\.pth"):
            read_state_dictionary(tmp_path / "bare.pth")
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",
        b"\x80\x02}X\x01\x00\x00\x00aK\x01s.",  # {"a": 1}: no tensors
        b"\x80\x02(lp0\nI1\na.",
        b"\x80\x02K\x01K\x02b.",  # state of a number
        b"\x80\x02h\x05.",  # a place in memory that was never filled
        b"\x80\x02}.",  # an empty dictionary is read as no tensors: refused by the shapes
        b"\x80\x02}q\x00",  # no end
        b"",
        b"\x80\x02X\xff\xff\xff\x7fa.",  # a text longer than the file
        b"\x80\x02t.",  # a tuple without a mark
        b"\x80\x02" + b"(" * 1000 + b".",
    ],
)
def test_other_programs_get_a_sentence(tmp_path, torch_names, program):
    path = tmp_path / "odd.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    with pytest.raises(ValueError, match=r"odd\.pth"):
        deepem_from_torch(path)


def test_damage_gets_a_sentence(tmp_path, torch_names):
    path = write_zip(tmp_path / "w.pth", weights(), torch_names, cut=40)
    with pytest.raises(ValueError, match="reaches beyond"):
        read_state_dictionary(path)
    # strides of 0: terabytes from one number
    one = Tensor(Storage("0", np.zeros(1, np.float32)), 0, (1 << 20, 1 << 20), (0, 0))
    state = collections.OrderedDict([("conv.weight", one)])
    program = pickled(state, torch_names)
    write_zip(tmp_path / "huge.pth", weights(), torch_names, program=program)
    with pytest.raises(ValueError, match="reaches beyond"):
        read_state_dictionary(tmp_path / "huge.pth")
    whole = write_zip(tmp_path / "w.pth", weights(), torch_names).read_bytes()
    for n in (10, len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.pth").write_bytes(whole[:n])
        with pytest.raises(ValueError, match=r"cut\.pth"):
            read_state_dictionary(tmp_path / "cut.pth")
    old = write_legacy(tmp_path / "old.pth", weights(), torch_names).read_bytes()
    for n in (10, 500, len(old) - 8):
        (tmp_path / "cut.pth").write_bytes(old[:n])
        with pytest.raises(ValueError, match=r"cut\.pth"):
            read_state_dictionary(tmp_path / "cut.pth")


def test_whole_numbers_are_no_weights(tmp_path, torch_names):
    path = write_zip(tmp_path / "w.pth", weights(), torch_names, kind="LongStorage")
    with pytest.raises(ValueError, match=r"torch\.LongStorage"):
        read_state_dictionary(path)


@pytest.mark.parametrize(
    "shapes",
    [
        SHAPES[:-1],
        [("0.weight", (200, 6, 1, 1)), *SHAPES[1:]],
        [("conv.weight", (300, 6, 1, 1)), *SHAPES[1:]],
        [*SHAPES, ("6.bias", (18,))],
    ],
)
def test_other_networks_weights_are_refused(tmp_path, torch_names, shapes):
    path = write_zip(tmp_path / "w.pth", weights(shapes=shapes), torch_names)
    with pytest.raises(ValueError, match=r"expected the tensors of DeepEM, 0\.weight \(300, 6"):
        deepem_from_torch(path)


def test_weights_that_are_nan_are_refused(tmp_path, torch_names):
    tensors = weights()
    tensors["2.bias"][7] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        deepem_from_torch(write_zip(tmp_path / "w.pth", tensors, torch_names))


def test_no_file_and_wrong_ending(tmp_path):
    with pytest.raises(FileNotFoundError):
        main([str(tmp_path / "none.pth"), "--output", str(tmp_path / "x.keras")])
    with pytest.raises(ValueError, match="must end in"):
        main([str(tmp_path / "none.pth"), "--output", str(tmp_path / "x.h5")])
