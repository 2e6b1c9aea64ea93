"""A 5x7 bitmap font for the simulators' pictures: upper case letters, digits and a few signs."""

GLYPH_WIDTH = 5
GLYPH_HEIGHT = 7

_ROWS: dict[str, str] = {
    # Seven rows from the top, one per two hexadecimal digits; bit 4 is the leftmost dot.
    " ": "00000000000000",
    "-": "0000001f000000",
    ".": "00000000000c0c",
    ":": "000c0c000c0c00",
    "/": "01010204081010",
    "0": "0e11131519110e",
    "1": "040c040404040e",
    "2": "0e11010204081f",
    "3": "1f02040201110e",
    "4": "02060a121f0202",
    "5": "1f101e0101110e",
    "6": "0608101e11110e",
    "7": "1f010204080808",
    "8": "0e11110e11110e",
    "9": "0e11110f01020c",
    "A": "0e11111f111111",
    "B": "1e11111e11111e",
    "C": "0e11101010110e",
    "D": "1c12111111121c",
    "E": "1f10101e10101f",
    "F": "1f10101e101010",
    "G": "0e11101711110f",
    "H": "1111111f111111",
    "I": "0e04040404040e",
    "J": "0702020202120c",
    "K": "11121418141211",
    "L": "1010101010101f",
    "M": "111b1515111111",
    "N": "11191513111111",
    "O": "0e11111111110e",
    "P": "1e11111e101010",
    "Q": "0e11111115120d",
    "R": "1e11111e141211",
    "S": "0f10100e01011e",
    "T": "1f040404040404",
    "U": "1111111111110e",
    "V": "11111111110a04",
    "W": "11111115151b11",
    "X": "11110a040a1111",
    "Y": "11110a04040404",
    "Z": "1f01020408101f",
}


def text_rows(text: str, scale: int, ink: int, paper: int) -> list[bytes]:
    """The seven font rows of `text`, each `scale` dots wide per bit; letters are shown upper case.

    A row is to be drawn `scale` times. Signs that the font has not are shown as a space.
    """
    on, off = bytes([ink]) * scale, bytes([paper]) * scale
    rows: list[bytes] = []
    for row in range(GLYPH_HEIGHT):
        dots: list[bytes] = [off]
        for sign in text.upper():
            bits = int(_ROWS.get(sign, _ROWS[" "])[2 * row : 2 * row + 2], 16)
            dots.extend(
                on if bits >> shift & 1 else off for shift in range(GLYPH_WIDTH - 1, -1, -1)
            )
            dots.append(off)
        rows.append(b"".join(dots))
    return rows
