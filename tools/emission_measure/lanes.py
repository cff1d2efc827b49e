"""Eight or sixteen numbers that a compiled function handles as one: vector types for numba.

A loop over a short last axis is left scalar by the compiler, because it cannot know that arrays
don't overlap. Here a value of eight float64 is a type of its own, with arithmetic, that lives in a
register; any processor runs it, in as many instructions as it needs. Sixteen are worth while where
each result waits for the one before, as in a factorisation: one half is computed while the other
waits. All functions are for compiled code only.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

__all__ = [
    "LANES",
    "WIDE",
    "any_positive",
    "choose",
    "first_of",
    "largest",
    "lesser",
    "load",
    "load_wide",
    "pointer_to",
    "root",
    "splat",
    "splat_wide",
    "store",
    "total",
]

LANES, WIDE = 8, 16
_FUSE = ("contract",)  # a product and a sum may be one instruction


class LanesType(types.Type):
    """So many float64."""

    def __init__(self, width: int):
        self.width = width
        super().__init__(name=f"Lanes{width}")


_LANES, _WIDE = LanesType(LANES), LanesType(WIDE)


def _vector(width: int, kind: ir.Type | None = None) -> ir.VectorType:
    return ir.VectorType(kind or ir.DoubleType(), width)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _vector(fe_type.width))


def _spread(builder, value, width):
    """Fill a vector with a scalar."""
    empty = ir.Constant(_vector(width), ir.Undefined)
    one = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(_vector(width, ir.IntType(32)), [0] * width)
    return builder.shuffle_vector(one, empty, mask)


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


def _address(context, builder, signature, arguments, width):
    """Point at so many numbers."""
    wide = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(arguments[0], [wide]), _vector(width).as_pointer())


def _load(kind):
    """Define how numbers are read."""

    @intrinsic
    def load(typingctx, pointer, index):
        """Read pointer[index : index + width]."""

        def generate(context, builder, signature, arguments):
            address = _address(context, builder, signature, arguments, kind.width)
            return builder.load(address, align=8)

        return kind(pointer, index), generate

    return load


load, load_wide = _load(_LANES), _load(_WIDE)


@intrinsic
def store(typingctx, pointer, index, value):
    """Write pointer[index : index + width]."""

    def generate(context, builder, signature, arguments):
        place = _address(context, builder, signature, arguments, signature.args[2].width)
        builder.store(arguments[2], place, align=8)
        return context.get_dummy_value()

    return types.void(pointer, index, value), generate


def _splat(kind):
    """Define how a vector is filled."""

    @intrinsic
    def splat(typingctx, value):
        """Give the same number in every lane."""

        def generate(context, builder, signature, arguments):
            number = context.cast(builder, arguments[0], signature.args[0], types.f8)
            return _spread(builder, number, kind.width)

        return kind(value), generate

    return splat


splat, splat_wide = _splat(_LANES), _splat(_WIDE)


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
    """Give lane by lane one value where a > b, else another."""

    def generate(context, builder, signature, arguments):
        greater = builder.fcmp_ordered(">", arguments[0], arguments[1])
        return builder.select(greater, arguments[2], arguments[3])

    return a(a, b, if_greater, otherwise), generate


@intrinsic
def lesser(typingctx, a, b):
    """Give the lesser of two, lane by lane."""

    def generate(context, builder, signature, arguments):
        less = builder.fcmp_ordered("<", arguments[0], arguments[1])
        return builder.select(less, arguments[0], arguments[1])

    return a(a, b), generate


@intrinsic
def root(typingctx, a):
    """Give the square roots."""

    def generate(context, builder, signature, arguments):
        name, vector = f"llvm.sqrt.v{a.width}f64", _vector(a.width)
        kind = ir.FunctionType(vector, [vector])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

    return a(a), generate


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
    """Give the largest lane."""

    def generate(context, builder, signature, arguments):
        def combine(x, y):
            return builder.select(builder.fcmp_ordered(">", x, y), x, y)

        return _halves(builder, arguments[0], a.width, combine)

    return types.float64(a), generate


@intrinsic
def total(typingctx, a):
    """Give the sum of all lanes."""

    def generate(context, builder, signature, arguments):
        return _halves(builder, arguments[0], a.width, lambda x, y: builder.fadd(x, y))

    return types.float64(a), generate


def _bits(builder, flags, width):
    """Give a vector of flags as the bits of an integer."""
    return builder.bitcast(flags, ir.IntType(width))


@intrinsic
def first_of(typingctx, a, value):
    """Give the first lane that has this value."""

    def generate(context, builder, signature, arguments):
        wanted = _spread(builder, arguments[1], a.width)
        same = builder.fcmp_ordered("==", arguments[0], wanted)
        bits = builder.zext(_bits(builder, same, a.width), ir.IntType(64))
        return builder.cttz(bits, ir.Constant(ir.IntType(1), 0))

    return types.int64(a, types.float64), generate


@intrinsic
def any_positive(typingctx, a):
    """Say whether any lane is above 0."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(_vector(a.width), [0.0] * a.width)
        above = builder.fcmp_ordered(">", arguments[0], zero)
        bits = _bits(builder, above, a.width)
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(a), generate
