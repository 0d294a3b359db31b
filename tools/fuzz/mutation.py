"""Changes to events on the wire, aimed at the bounds of fields, at escapes and at what JSON can say in two ways."""

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

LETTERS = (
    *("\t", "\n", "\r", "\\", "\0", "\b", "\x1a", "\x7f", "'", '"', " ", "%", "&", "=", "N", "\\N", "NULL", "0", "a"),
    *("é", "ß", "\u0301", "\u200d", "\u2028", "\u2029", "\u0085", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\ud7ff"),
    *("\U0001f6d2", "\U0001d11e", "\U0010ffff", "漢"),
)
SURROGATES = ("\ud800", "\udfff", "\udc00\ud800")
NUMBERS = (
    *(
        "0",
        "-0",
        "-0.0",
        "0.0",
        "1",
        "-1",
        "0.01",
        "0.001",
        "1.10",
        "1E1",
        "1e-2",
        "1e-7",
        "5e-324",
        "1e400",
        "-1e400",
    ),
    *("NaN", "Infinity", "-Infinity", "00", "01", "+1", ".5", "1.", "65535", "65536", "99999999.99", "100000000"),
    *("9999999999.99", "10000000000", "4503599627370496.5", "9007199254740993", "1e8", "1e10", "123456789012345.678"),
    *("18446744073709551616", "9" * 400, "1" * 5000, "0." + "3" * 400, "true", "null", '"1"', "[1]", "{}"),
)
TIMES = (
    *("1000-01-01T00:00:00Z", "0999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z", "2027-02-29T00:00:00Z"),
    *("2028-02-29T00:00:00Z", "2027-01-15T24:00:00Z", "2027-01-15T23:59:60Z", "2027-01-15T08:00:00.1Z"),
    *("2027-01-15T08:00:00.1234567Z", "2027-01-15T08:00:00+00:00", "2027-01-15 08:00:00Z", "2027-01-15T08:00:00z"),
    *(
        "2027-01-15T08:00:00Z\n",
        "\uff12\uff10\uff12\uff17-01-15T08:00:00Z",
        "0000-00-00T00:00:00Z",
        "2027-00-00T00:00:00Z",
    ),
)
IDS = (
    *("01931b3e-a800-7abc-80cd-0123456789ab", "01931b3e-a800-8abc-80cd-0123456789ab", ""),
    *("01931b3e-a800-8abc-81cd-0123456789ab", "00000000-0000-1000-8000-000000000000"),
    *("ffffffff-ffff-8fff-bfff-ffffffffffff", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    *("01931B3E-A800-7ABC-80CD-0123456789AB", "01931b3ea8007abc80cd0123456789ab"),
    *("01931b3e-a800-7abc-80cd-0123456789ab\n", " 01931b3e-a800-7abc-80cd-0123456789ab"),
)
CODES = ("EUR", "DE", "eur", "EURO", "E", "", "ÄÖ", "DE\n", "EUR\n", "\u0415UR", "U\0", "\\N")
NO_UTF8 = (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"\\u0000")
DEEPEST = 3000

Fields = dict[str, Any]


class Mutation:
    """Draws changes from ``random``. ``bounds``: the most characters of each text field."""

    def __init__(self, random: Random, bounds: Mapping[str, int]) -> None:
        self._random = random
        self._bounds = bounds

    def text(self, max_length: int) -> str:
        """A text of 1 to ``max_length`` characters, nasty ones more often than not, and often as many as there may
        be."""
        match self._random.randrange(6):
            case 0:
                return (self._random.choice(LETTERS) * max_length)[:max_length]
            case 1:
                return "".join(self._random.choices(LETTERS, k=max_length))[:max_length]
            case 2:
                return "".join([self._character() for _ in range(self._random.randint(1, min(max_length, 12)))])
            case _:
                return "".join(self._random.choices(LETTERS, k=self._random.randint(1, 8)))[:max_length]

    def valid(self, sample: bytes) -> bytes:
        """The event with other contents, all within their bounds."""
        event: Fields = json.loads(sample)
        for fields in _objects(event):
            for name, value in fields.items():
                # Half of them: a small input is found sooner, and what stays alike is stored once.
                if value is not None and self._random.random() < 0.5:
                    fields[name] = self._another(name, value)
        if "cart_items" in event and self._random.random() < 0.002:
            event["cart_items"] = event["cart_items"][:1] * 255
        return self._json(event).encode()

    def nearly_valid(self, sample: bytes) -> bytes:
        """The event with a field or two that are wrong, at the edge of it, or said in another way."""
        event: Fields = json.loads(sample)
        tokens: list[str] = []
        for _ in range(self._random.randint(1, 2)):
            fields = self._random.choice(list(_objects(event)))
            if fields:
                self._spoil(fields, self._random.choice(list(fields)), tokens)
        text = self._json(event)
        for number, token in enumerate(tokens):
            text = text.replace(f'"token {number}"', token)
        if self._random.random() < 0.1:
            text = self._said_otherwise(text)
        return text.encode(errors="surrogatepass")

    def of_bytes(self, value: bytes) -> bytes:
        """The bytes with some of them changed, doubled, cut out or inserted."""
        data = bytearray(value)
        for _ in range(self._random.randint(1, 3)):
            at = self._random.randrange(len(data) + 1)
            match self._random.randrange(5):
                case 0:
                    data[at : at + 1] = self._random.randbytes(1)
                case 1:
                    data[at:at] = self._random.choice(LETTERS).encode()
                case 2:
                    del data[at : at + self._random.randint(1, 8)]
                case 3:
                    data[at:at] = data[at : at + self._random.randint(1, 40)]
                case _:
                    data[at:at] = self._random.choice(NO_UTF8)
        return bytes(data)

    def _another(self, name: str, value: Any) -> Any:
        if name in self._bounds:
            return self.text(self._bounds[name])
        if name == "price":
            return self._random.randrange(10 ** self._random.randint(1, 10)) / 100
        if name == "total_amount":
            return self._random.randrange(10 ** self._random.randint(1, 12)) / 100
        if name == "quantity":
            return self._random.randint(1, 65_535)
        if name.endswith("_id"):
            return f"{self._random.getrandbits(32):08x}{value[8:24]}{self._random.getrandbits(48):012x}"
        return value

    def _spoil(self, fields: Fields, name: str, tokens: list[str]) -> None:
        value = fields[name]
        match self._random.randrange(10):
            case 0:
                del fields[name]
            case 1:
                fields[self.text(self._random.choice((1, 5, 1500)))] = value
            case 2:
                fields[name] = self._random.choice((None, True, [], {}, [value], {name: value}, str(value), ""))
            case 3 if isinstance(value, list):
                fields[name] = value[:1] * self._random.choice((0, 255, 256))
            case 4 | 5:
                fields[name] = f"token {len(tokens)}"
                tokens.append(self._random.choice(NUMBERS))
            case 6 if isinstance(value, str):
                fields[name] = self._random.choice(
                    ("", value + "\n", " " + value, value.upper(), value + "\0", value[:-1])
                )
            case _ if name in self._bounds:
                max_length = self._bounds[name]
                length = self._random.choice((0, 1, max_length - 1, max_length, max_length + 1, 10 * max_length))
                fields[name] = "".join(self._random.choices((*LETTERS, *SURROGATES), k=length))[:length]
            case _ if name.endswith("_at"):
                fields[name] = self._random.choice(TIMES)
            case _ if name.endswith("_id"):
                fields[name] = self._random.choice(IDS)
            case _ if name in {"currency", "country", "status"}:
                fields[name] = self._random.choice(CODES)
            case _:
                fields[name] = f"token {len(tokens)}"
                tokens.append(self._random.choice(NUMBERS))

    def _said_otherwise(self, text: str) -> str:
        """The same JSON text in other words, or nearly."""
        depth = self._random.randrange(DEEPEST)
        return self._random.choice(
            (
                "\ufeff" + text,
                text + "\0",
                text + text,
                f"[{text}]",
                text.replace(",", " ,\t\r\n "),
                text.replace("{", '{"status":"created",', 1),
                text.replace("}", ',"status":"NEW"}'),
                text.replace("e", "\\u0065"),
                text.replace('"', "'"),
                text.replace("{", '{"more":' + "[" * depth + "]" * depth + ",", 1),
                text.replace("{", '{"cart_items":' + '{"a":' * depth + "1" + "}" * depth + ",", 1),
            )
        )

    def _character(self) -> str:
        code = self._random.randrange(0x11_0000 - 0x800)
        return chr(code if code < 0xD800 else code + 0x800)

    def _json(self, event: Fields) -> str:
        return json.dumps(event, ensure_ascii=self._random.random() < 0.5)


def _objects(event: Fields) -> Iterator[Fields]:
    """The event and the objects in it."""
    yield event
    for value in list(event.values()):
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, dict))
