"""Numbers as Java writes them: string maps and data frames hold that text."""

from __future__ import annotations

import math

_PLAIN_FROM, _PLAIN_BELOW = 1e-3, 1e7


def java_double(x: float) -> str:
    """Return a double as `Double.toString` does since JDK 19: the shortest digits that read back.

    Example:
        >>> java_double(34452), java_double(34243127.0), java_double(0.001), java_double(-1e-5)
        ('34452.0', '3.4243127E7', '0.001', '-1.0E-5')
        >>> java_double(float("nan")), java_double(float("-inf")), java_double(5e-324)
        ('NaN', '-Infinity', '4.9E-324')

    Source: https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/lang/Double.html
    """
    x = float(x)
    if _PLAIN_FROM <= abs(x) < _PLAIN_BELOW or x == 0:
        return repr(x)  # Python, too, gives the shortest digits and at least one decimal
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else ("Infinity" if x > 0 else "-Infinity")
    digits, exponent = _scientific(x)
    sign = "-" if x < 0 else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def java_text(value: float | bool | str) -> str:
    """Return what a string map holds for a value: whole numbers and texts as they are.

    Example:
        >>> java_text(True), java_text(150), java_text(150.0), java_text("a")
        ('true', '150', '150.0', 'a')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else java_double(value)


def _scientific(x: float) -> tuple[str, int]:
    """Return the significant digits of a finite number and the exponent of the first."""
    mantissa, _, power = repr(abs(x)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(power or 0) + len(whole) - 1
    if not whole.strip("0"):
        exponent -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if len(digits) == 1:
        # Java may use two digits where one would do, if that is nearer (only subnormals differ).
        two = f"{abs(x):.1e}"
        if float(two) == abs(x):
            mantissa, _, power = two.partition("e")
            return mantissa.replace(".", "").rstrip("0"), int(power)
    return digits, exponent
