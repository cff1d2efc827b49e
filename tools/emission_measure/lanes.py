"""Eight or sixteen numbers that a compiled function handles as one: vector types for numba.

A loop over a short last axis is left scalar by the compiler, because it cannot know that arrays
don't overlap. Here a value of eight float64 is a type of its own, with arithmetic, that lives in a
register; any processor runs it, in as many instructions as it needs. Sixteen are worth while where
each result waits for the one before, as in a factorisation: one half is computed while the other
waits. Sixteen float32 (singles) take the room of eight float64. All functions are for compiled code
only.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

__all__ = [
    "LANES",
    "WIDE",
    "any_positive",
    "bit_exponent",
    "cache_aligned",
    "choose",
    "first_of",
    "largest",
    "lesser",
    "load",
    "load_single",
    "load_wide",
    "pointer_to",
    "root",
    "rounded",
    "splat",
    "splat_single",
    "splat_wide",
    "store",
    "times_power",
    "total",
]

LANES, WIDE = 8, 16
_CACHE_LINE = 64  # bytes
_FUSE = ("contract",)  # a product and a sum may be one instruction


class LanesType(types.Type):
    """So many numbers of a kind, float64 if none is said."""

    def __init__(self, width: int, number: types.Float = types.float64):
        self.width, self.number = width, number
        super().__init__(name=f"Lanes{width}{number}")


_LANES, _WIDE, _SINGLES = LanesType(LANES), LanesType(WIDE), LanesType(WIDE, types.float32)


def _vector(width: int, kind: ir.Type | None = None) -> ir.VectorType:
    return ir.VectorType(kind or ir.DoubleType(), width)


def _vector_of(kind: LanesType) -> ir.VectorType:
    """Return the vector that holds a value of a kind."""
    single = kind.number == types.float32
    return _vector(kind.width, ir.FloatType() if single else ir.DoubleType())


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _vector_of(fe_type))


def _spread(builder, value, width):
    """Fill a vector with a scalar."""
    empty = ir.Constant(_vector(width, value.type), ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(_vector(width, ir.IntType(32)), [0] * width)
    return builder.shuffle_vector(one, empty, mask)


def cache_aligned(shape: tuple[int, ...], dtype: type = np.float64) -> np.ndarray:
    """Return zeros that begin at a cache line, so that a whole vector lies in one; not compiled."""
    size = int(np.prod(shape))
    room: np.ndarray = np.zeros(size + _CACHE_LINE // np.dtype(dtype).itemsize, dtype)
    first = -room.ctypes.data % _CACHE_LINE // room.itemsize
    return room[first : first + size].reshape(shape)


@intrinsic
def pointer_to(typingctx, array, start):
    """Point at array[start] of a contiguous array's numbers.

    Taking an array out of a tuple or passing a view counts references, atomically, which costs more
    than the work done here; pointers are free. Who makes one must keep the array.
    """

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        wide = context.cast(builder, arguments[1], signature.args[1], types.intp)
        return builder.gep(data, [wide])

    return types.CPointer(array.dtype)(array, start), generate


def _address(context, builder, signature, arguments, kind):
    """Point at the numbers of a value."""
    wide = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(arguments[0], [wide]), _vector_of(kind).as_pointer())


def _load(kind):
    """Define how numbers are read."""

    @intrinsic
    def load(typingctx, pointer, index):
        """Read pointer[index : index + width]."""

        def generate(context, builder, signature, arguments):
            address = _address(context, builder, signature, arguments, kind)
            return builder.load(address, align=kind.number.bitwidth // 8)

        return kind(pointer, index), generate

    return load


load, load_wide, load_single = _load(_LANES), _load(_WIDE), _load(_SINGLES)


@intrinsic
def store(typingctx, pointer, index, value):
    """Write pointer[index : index + width]."""

    def generate(context, builder, signature, arguments):
        place = _address(context, builder, signature, arguments, signature.args[2])
        builder.store(arguments[2], place, align=signature.args[2].number.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(pointer, index, value), generate


def _splat(kind):
    """Define how a vector is filled."""

    @intrinsic
    def splat(typingctx, value):
        """Return the same number in every lane."""

        def generate(context, builder, signature, arguments):
            number = context.cast(builder, arguments[0], signature.args[0], kind.number)
            return _spread(builder, number, kind.width)

        return kind(value), generate

    return splat


splat, splat_wide, splat_single = _splat(_LANES), _splat(_WIDE), _splat(_SINGLES)


def _arithmetic(function, name):
    """Define an operator between two vectors."""

    @intrinsic
    def combine(typingctx, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments, flags=_FUSE)

        return a(a, b), generate

    @overload(function)
    def combined(a, b):
        if isinstance(a, LanesType) and a == b:
            return lambda a, b: combine(a, b)
        return None


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_function, _name)


@intrinsic
def choose(typingctx, a, b, if_greater, otherwise):
    """Return lane by lane one value where a > b, else another."""

    def generate(context, builder, signature, arguments):
        greater = builder.fcmp_ordered(">", arguments[0], arguments[1])
        return builder.select(greater, arguments[2], arguments[3])

    return a(a, b, if_greater, otherwise), generate


@intrinsic
def lesser(typingctx, a, b):
    """Return the lesser of two, lane by lane."""

    def generate(context, builder, signature, arguments):
        less = builder.fcmp_ordered("<", arguments[0], arguments[1])
        return builder.select(less, arguments[0], arguments[1])

    return a(a, b), generate


def _of_one(name, text):
    """Define a function that the processor has, lane by lane."""

    @intrinsic
    def apply(typingctx, a):
        def generate(context, builder, signature, arguments):
            full, vector = f"llvm.{name}.v{a.width}f{a.number.bitwidth}", _vector_of(a)
            kind = ir.FunctionType(vector, [vector])
            found = cgutils.get_or_insert_function(builder.module, kind, full)
            return builder.call(found, arguments)

        return a(a), generate

    apply.__doc__ = text
    return apply


root = _of_one("sqrt", "Give the square roots.")
rounded = _of_one("rint", "Give the nearest whole numbers.")


def _halves(builder, value, lanes, combine):
    """Combine all lanes, half with half."""
    place, empty = _vector(lanes, ir.IntType(32)), ir.Constant(_vector(lanes), ir.Undefined)
    width = lanes // 2
    while width:
        other = [(lane + width) % lanes for lane in range(lanes)]
        moved = builder.shuffle_vector(value, empty, ir.Constant(place, other))
        value = combine(value, moved)
        width //= 2
    return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


@intrinsic
def largest(typingctx, a):
    """Return the largest lane."""

    def generate(context, builder, signature, arguments):
        def combine(x, y):
            return builder.select(builder.fcmp_ordered(">", x, y), x, y)

        return _halves(builder, arguments[0], a.width, combine)

    return types.float64(a), generate


@intrinsic
def total(typingctx, a):
    """Return the sum of all lanes."""

    def generate(context, builder, signature, arguments):
        return _halves(builder, arguments[0], a.width, lambda x, y: builder.fadd(x, y))

    return types.float64(a), generate


def _bits(builder, flags, width):
    """Return a vector of flags as the bits of an integer."""
    return builder.bitcast(flags, ir.IntType(width))


@intrinsic
def first_of(typingctx, a, value):
    """Return the first lane that has this value."""

    def generate(context, builder, signature, arguments):
        wanted = _spread(builder, arguments[1], a.width)
        same = builder.fcmp_ordered("==", arguments[0], wanted)
        bits = builder.zext(_bits(builder, same, a.width), ir.IntType(64))
        return builder.cttz(bits, ir.Constant(ir.IntType(1), 0))

    return types.int64(a, types.float64), generate


@intrinsic
def any_positive(typingctx, a):
    """Return whether any lane is above 0."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(_vector(a.width), [0.0] * a.width)
        above = builder.fcmp_ordered(">", arguments[0], zero)
        bits = _bits(builder, above, a.width)
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(a), generate


_MANTISSA_BITS, _ROOT_HALF_BITS = 23, 0x3F3504F3  # of float32; the bits of the root of 1/2


def _whole(builder, number):
    """Return a vector of int32 with the same whole number in every lane."""
    return _spread(builder, ir.Constant(ir.IntType(32), number), WIDE)


@intrinsic
def times_power(typingctx, a, power):
    """Return singles times two to whole powers; all results must be ordinary numbers."""

    def generate(context, builder, signature, arguments):
        bits = _vector(WIDE, ir.IntType(32))
        added = builder.shl(builder.fptosi(arguments[1], bits), _whole(builder, _MANTISSA_BITS))
        result = builder.add(builder.bitcast(arguments[0], bits), added)
        return builder.bitcast(result, _vector_of(a))

    return a(a, power), generate


@intrinsic
def bit_exponent(typingctx, a):
    """Return the power of two over which positive singles are between the roots of 1/2 and of 2."""

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], _vector(WIDE, ir.IntType(32)))
        above = builder.sub(bits, _whole(builder, _ROOT_HALF_BITS))
        power = builder.ashr(above, _whole(builder, _MANTISSA_BITS))
        return builder.sitofp(power, _vector_of(a))

    return a(a), generate
