"""What neurons do, in one pass over memory, compiled from csrc/native.cpp."""

def ladder_scan(
    is_double: bool,
    pointers: tuple[int, ...],
    numbers: tuple[int, ...],
    low: float | None,
    high: float | None,
    sizes: tuple[int, ...],
    drive_strides: tuple[int, ...],
    before_strides: tuple[int, ...],
    feature_strides: tuple[int, ...],
    out_strides: tuple[int, ...],
) -> None: ...
def look_up(
    is_double: bool,
    pointers: tuple[int, ...],
    numbers: tuple[int, ...],
    reals: tuple[float, ...],
    bits: tuple[int, ...],
) -> None: ...
