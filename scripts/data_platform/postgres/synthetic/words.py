"""Plausible texts for a column by its name: e-mail addresses, names, slugs, codes, sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from data_platform.postgres.synthetic.space import Phrases


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


FIRST = _split(
    """
    Ada Ben Chloe David Elena Farid Grace Hugo Ines Jonas Kira Leon Mina Nils Olga Pablo Quinn Rosa Samir Tara
    Uma Victor Wanda Xenia Yusuf Zoe
    """
)
LAST = _split(
    """
    Adler Becker Costa Dupont Eriksen Fischer Garcia Haddad Ivanova Jensen Kowalski Lopez Moreau Nowak Okafor
    Petrov Quist Rossi Schmidt Tanaka Ueda Varga Weber Xu Yilmaz Zimmer
    """
)
ADJECTIVES = _split(
    """
    amber brave calm clear cold daily early fast gentle golden green hidden light little new northern open plain
    quiet rapid red sharp silver simple slow small smart solid warm wide
    """
)
NOUNS = _split(
    """
    anchor basket bridge candle cedar cloud engine field forest garden harbor island kettle ladder lantern
    market meadow mirror mountain needle orchard paper pebble river signal stone table tower valley window
    """
)
CITIES = _split(
    """
    Amsterdam Athens Berlin Bogota Boston Cairo Chicago Dublin Geneva Hanoi Helsinki Lagos Lima Lisbon London Lyon
    Madrid Milan Nairobi Osaka Oslo Paris Porto Prague Quito Riga Rome Seoul Sydney Toronto Vienna Warsaw
    """
)
COUNTRIES = _split(
    """
    Argentina Australia Austria Belgium Brazil Canada Chile Denmark Egypt Finland France Germany Greece India
    Ireland Italy Japan Kenya Mexico Morocco Nigeria Norway Peru Poland Portugal Spain Sweden Turkey Vietnam
    """
)
COUNTRY_CODES = _split(
    """
    US DE FR GB ES IT NL PL SE NO DK FI IE PT AT BE CH CZ GR HU RO BG TR EG MA NG KE ZA IN JP KR CN VN TH AU NZ CA
    MX BR AR CL PE CO
    """
)
CURRENCIES = _split("USD EUR GBP JPY CHF SEK NOK DKK PLN CZK CAD AUD NZD BRL MXN INR CNY KRW TRY ZAR")
LANGUAGES = _split("en de fr es it nl pl pt sv da fi nb cs el tr ar hi ja ko zh")
LOCALES = _split("en-US en-GB de-DE fr-FR es-ES it-IT nl-NL pl-PL pt-PT sv-SE da-DK ja-JP")
TIME_ZONES = _split(
    """
    UTC Europe/Berlin Europe/Paris Europe/London America/New_York America/Chicago Asia/Tokyo Asia/Seoul
    """
)
MIME_TYPES = _split("application/pdf image/png image/jpeg text/plain text/csv application/json")
COLORS = _split("red green blue black white grey orange purple brown yellow")
VERBS = _split("opens moves holds checks keeps shows sends counts follows brings")


def _phrases(texts: Iterator[str], gap: str = " ", tail: str = "") -> Phrases:
    heads = tuple(dict.fromkeys(texts))
    return Phrases(heads, (tail,) * len(heads), gap)


@lru_cache(maxsize=1)
def _kinds() -> dict[str, tuple[Phrases, ...]]:
    people = [(a, b) for b in LAST for a in FIRST]
    things = [(a, b) for b in NOUNS for a in ADJECTIVES]
    return {
        "email": (
            _phrases((f"{a}.{b}".lower() for a, b in people), "", "@example.com"),
            _phrases((f"{a}{b[0]}".lower() for a, b in people), "", "@ex.io"),
        ),
        "full name": (_phrases(f"{a} {b}" for a, b in people),),
        "first name": (_phrases(iter(FIRST)),),
        "last name": (_phrases(iter(LAST)),),
        "user name": (_phrases(f"{a}_{b}".lower() for a, b in people), _phrases(a.lower() for a in FIRST)),
        "company": (_phrases(f"{a.title()} {b.title()} Ltd" for a, b in things), _phrases(iter(LAST))),
        "phone": (
            Phrases(tuple(f"+49 30 55501{n:02}" for n in range(100)), ("",) * 100, ""),
            Phrases(tuple(f"+49305550{n:02}" for n in range(100)), ("",) * 100, ""),
        ),
        "url": (_phrases((f"https://example.com/{a}/{b}" for a, b in things), "-"),),
        "host": (_phrases((f"{a}-{b}" for a, b in things), "-", ".example.com"),),
        "path": (_phrases((f"/{a}/{b}" for a, b in things), "-"), _phrases((f"/{b}" for b in NOUNS), "-")),
        "slug": (_phrases((f"{a}-{b}" for a, b in things), "-"), _phrases(iter(NOUNS), "-")),
        "title": (_phrases(f"{a.title()} {b}" for a, b in things), _phrases(b.title() for b in NOUNS)),
        "city": (_phrases(iter(CITIES)),),
        "country": (_phrases(iter(COUNTRIES)),),
        "country code": (_phrases(iter(COUNTRY_CODES), ""),),
        "currency": (_phrases(iter(CURRENCIES), ""),),
        "language": (_phrases(iter(LANGUAGES), ""),),
        "locale": (_phrases(iter(LOCALES), ""),),
        "time zone": (_phrases(iter(TIME_ZONES)),),
        "street": (_phrases(f"{n} {b.title()} Street" for b in NOUNS for n in (3, 12, 48, 121)),),
        "postcode": (_phrases((f"{10_000 + 97 * n}" for n in range(900)), ""),),
        "colour": (_phrases(iter(COLORS)),),
        "mime type": (_phrases(iter(MIME_TYPES), "."),),
        "code": (
            _phrases((f"{a[0]}{b[:2]}".upper() for a, b in things), "-"),
            _phrases(iter("ABCDEFGH"), ""),
        ),
        "sentence": (
            _phrases(
                f"The {a} {b} {v} the {c}."
                for (a, b), v, c in zip(things, VERBS * 90, NOUNS * 30, strict=True)
            ),
            _phrases(f"{a} {b}" for a, b in things),
        ),
        "word": (_phrases(iter(NOUNS), "-"), _phrases((b[:3] for b in NOUNS), "")),
    }


_BY_NAME = (
    (r"e_?mail", "email"),
    (r"^(first|given)_?name$|^forename$", "first name"),
    (r"^(last|family)_?name$|^surname$", "last name"),
    (r"user_?name|login|handle|nick", "user name"),
    (r"company|organi[sz]ation|employer|vendor|supplier", "company"),
    (r"phone|mobile|^fax$|^tel$", "phone"),
    (r"(^|_)(url|uri|link|website|href)$", "url"),
    (r"host|domain", "host"),
    (r"(^|_)(path|file|filename|route|key)$", "path"),
    (r"slug|permalink", "slug"),
    (r"country_?code|^country_iso|^iso2$", "country code"),
    (r"country|nation", "country"),
    (r"currency", "currency"),
    (r"^lang(uage)?(_code)?$", "language"),
    (r"locale", "locale"),
    (r"time_?zone|^tz$", "time zone"),
    (r"city|town", "city"),
    (r"street|address|line_?[12]$", "street"),
    (r"zip|post(al)?_?code|^plz$", "postcode"),
    (r"colou?r", "colour"),
    (r"mime|content_type|media_type", "mime type"),
    (r"(full|display|contact|owner|author|customer|person|patient)_?name|^author$", "full name"),
    (r"title|subject|headline|label|name$", "title"),
    (r"code|sku|number|reference|serial|barcode|token|isbn", "code"),
    (r"description|body|content|text|notes?|comment|summary|message|bio|remarks?|reason|detail", "sentence"),
)
_PEOPLE = re.compile(
    r"user|person|people|customer|employee|author|patient|student|member|contact|teacher|staff|driver|guest"
)


def candidates(column: str, table: str) -> tuple[Phrases, ...]:
    """Phrases for a column of that name, the most telling first; each later one is shorter."""
    plain = column.lower()
    if plain == "name" and _PEOPLE.search(table.lower()):
        return (*_kinds()["full name"], *_kinds()["word"])
    for pattern, kind in _BY_NAME:
        if re.search(pattern, plain):
            return (*_kinds()[kind], *_kinds()["word"])
    return _kinds()["word"]
