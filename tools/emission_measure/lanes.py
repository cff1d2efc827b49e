"""Eight numbers that a compiled function handles as one: a vector type for numba.

A loop over a short last axis is left scalar by the compiler, because it cannot know that arrays
don't overlap. Here a value of eight float64 is a type of its own, with arithmetic, that lives in a
register; any processor runs it, in as many instructions as it needs. All functions are for compiled
code only.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

__all__ = [
    "LANES",
    "any_positive",
    "choose",
    "first_of",
    "largest",
    "lesser",
    "load",
    "pointer_to",
    "root",
    "splat",
    "store",
    "total",
]

LANES = 8
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_FUSE = ("contract",)  # a product and a sum may be one instruction


class LanesType(types.Type):
    """Eight float64."""

    def __init__(self):
        super().__init__(name="Lanes8")


_LANES = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _VECTOR)


def _spread(builder, value):
    """Fill a vector with a scalar."""
    one = builder.insert_element(
        ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), mask)


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


def _address(context, builder, signature, arguments):
    """Point at eight numbers."""
    wide = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(arguments[0], [wide]), _VECTOR.as_pointer())


@intrinsic
def load(typingctx, pointer, index):
    """Read pointer[index : index + 8]."""

    def generate(context, builder, signature, arguments):
        return builder.load(_address(context, builder, signature, arguments), align=8)

    return _LANES(pointer, index), generate


@intrinsic
def store(typingctx, pointer, index, value):
    """Write pointer[index : index + 8]."""

    def generate(context, builder, signature, arguments):
        place = _address(context, builder, signature, arguments)
        builder.store(arguments[2], place, align=8)
        return context.get_dummy_value()

    return types.void(pointer, index, value), generate


@intrinsic
def splat(typingctx, value):
    """Give eight times the same number."""

    def generate(context, builder, signature, arguments):
        return _spread(builder, context.cast(builder, arguments[0], signature.args[0], types.f8))

    return _LANES(value), generate


def _arithmetic(function, name):
    """Define an operator between two vectors."""

    @intrinsic
    def combine(typingctx, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments, flags=_FUSE)

        return _LANES(a, b), generate

    @overload(function)
    def combined(a, b):
        if isinstance(a, LanesType) and isinstance(b, LanesType):
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

    return _LANES(a, b, if_greater, otherwise), generate


@intrinsic
def lesser(typingctx, a, b):
    """Give the lesser of two, lane by lane."""

    def generate(context, builder, signature, arguments):
        less = builder.fcmp_ordered("<", arguments[0], arguments[1])
        return builder.select(less, arguments[0], arguments[1])

    return _LANES(a, b), generate


@intrinsic
def root(typingctx, a):
    """Give the square roots."""

    def generate(context, builder, signature, arguments):
        name = f"llvm.sqrt.v{LANES}f64"
        kind = ir.FunctionType(_VECTOR, [_VECTOR])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

    return _LANES(a), generate


def _halves(builder, value, combine):
    """Combine all lanes, half with half."""
    place = ir.VectorType(ir.IntType(32), LANES)
    width = LANES // 2
    while width:
        other = [(lane + width) % LANES for lane in range(LANES)]
        moved = builder.shuffle_vector(
            value, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(place, other)
        )
        value = combine(value, moved)
        width //= 2
    return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))


@intrinsic
def largest(typingctx, a):
    """Give the largest lane."""

    def generate(context, builder, signature, arguments):
        def combine(x, y):
            return builder.select(builder.fcmp_ordered(">", x, y), x, y)

        return _halves(builder, arguments[0], combine)

    return types.float64(a), generate


@intrinsic
def total(typingctx, a):
    """Give the sum of all lanes."""

    def generate(context, builder, signature, arguments):
        return _halves(builder, arguments[0], lambda x, y: builder.fadd(x, y))

    return types.float64(a), generate


def _bits(builder, flags):
    """Give a vector of flags as the bits of an integer."""
    return builder.bitcast(flags, ir.IntType(LANES))


@intrinsic
def first_of(typingctx, a, value):
    """Give the first lane that has this value."""

    def generate(context, builder, signature, arguments):
        same = builder.fcmp_ordered("==", arguments[0], _spread(builder, arguments[1]))
        bits = builder.zext(_bits(builder, same), ir.IntType(64))
        return builder.cttz(bits, ir.Constant(ir.IntType(1), 0))

    return types.int64(a, types.float64), generate


@intrinsic
def any_positive(typingctx, a):
    """Say whether any lane is above 0."""

    def generate(context, builder, signature, arguments):
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        above = builder.fcmp_ordered(">", arguments[0], zero)
        bits = _bits(builder, above)
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(a), generate
