"""Attachments of a post: media, polls and places.

Knows the names of `media.fields`, `poll.fields` and `place.fields`. Does not know posts: an attachment is
given its id, its time and its random bits.

X omits a field if the object has no value for it, such as the duration of a photo. Here every requested
field is present, so that tests can rely on it.

Shapes: X's OpenAPI document, schemas Media, Poll and Place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from xdk_streaming.simulator.content.fields import FieldMakers, Maker, chosen
from xdk_streaming.simulator.content.snowflakes import moment

_MEDIA = (("3", "photo"), ("3", "photo"), ("7", "video"), ("16", "animated_gif"))
_ANSWERS = ("Да", "No 🙅‍♀️", "たぶん", "لا أعرف", "Só vendo o resultado", '"Other"')


class Attachment(NamedTuple):
    """A medium or a poll: its id, its creation in Unix seconds, and the random bits that determine it."""

    id: str
    at: float
    chance: int


class Place(NamedTuple):
    """A place in X's form; west, south, east and north are degrees."""

    id: str
    name: str
    country: str
    country_code: str
    place_type: str
    west: float
    south: float
    east: float
    north: float


PLACES = (
    Place("01a9a39529b27f36", "Manhattan", "United States", "US", "city", -74.03, 40.68, -73.91, 40.88),
    Place("5722ff20ba67083b", "København", "Danmark", "DK", "city", 12.45, 55.62, 12.73, 55.73),
    Place("006553ae1e2b5c4f", "渋谷区", "日本", "JP", "city", 139.66, 35.64, 139.72, 35.69),
    Place("00c39537733fa112", "Rio de Janeiro", "Brasil", "BR", "city", -43.8, -23.08, -43.09, -22.74),
    Place("5d838f7a011f4a2d", "القاهرة", "مصر", "EG", "admin", 31.22, 29.95, 31.91, 30.32),
    Place("08e33d2ff1e99c1a", "เชียงใหม่", "ประเทศไทย", "TH", "admin", 98.94, 18.75, 99.05, 18.83),
    Place("0799ff0a3c1006e9", "Kraków", "Polska", "PL", "city", 19.79, 49.97, 20.22, 50.13),
    Place("7093c5a9e1ad6f8b", "서울", "대한민국", "KR", "city", 126.76, 37.43, 127.18, 37.7),
)


def media_key(medium: Attachment) -> str:
    """The key of a medium: one or two digits for the type, then the id."""
    return f"{_MEDIA[medium.chance & 3][0]}_{medium.id}"


def _playback(medium: Attachment) -> dict[str, int]:
    started = medium.chance >> 9 & 0x7FFF
    return {f"playback_{part}_count": started * (200 - part) // 200 for part in (0, 25, 50, 75, 100)}


def _watched(medium: Attachment) -> dict[str, int]:
    return {"playback_0_count": medium.chance >> 9 & 0x7FFF, "view_count": medium.chance >> 8 & 0xFFFF}


def _variants(medium: Attachment) -> list[dict[str, Any]]:
    clip = f"https://video.twimg.com/amplify_video/{medium.id}/vid/640x360/clip.mp4?tag=14"
    return [{"bit_rate": 832000, "content_type": "video/mp4", "url": clip}]


MEDIA_MAKERS: Mapping[str, Maker[Attachment]] = {
    "media_key": media_key,
    "type": lambda medium: _MEDIA[medium.chance & 3][1],
    "alt_text": lambda medium: "A cat asleep on a keyboard 🐈",
    "duration_ms": lambda medium: 1_000 + (medium.chance >> 12 & 0x1FFFF),
    "height": lambda medium: (720, 1080, 1350, 2048)[medium.chance >> 4 & 3],
    "width": lambda medium: (1280, 1920, 1080, 1536)[medium.chance >> 4 & 3],
    "non_public_metrics": _playback,
    "organic_metrics": _watched,
    "preview_image_url": lambda medium: f"https://pbs.twimg.com/media/preview/{medium.id}.jpg",
    "promoted_metrics": _watched,
    "public_metrics": lambda medium: {"view_count": medium.chance >> 8 & 0xFFFFF},
    "url": lambda medium: f"https://pbs.twimg.com/media/{medium.id}.jpg",
    "variants": _variants,
}


def _options(poll: Attachment) -> list[dict[str, Any]]:
    first = poll.chance % len(_ANSWERS)
    return [
        {
            "position": position,
            "label": _ANSWERS[(first + position) % len(_ANSWERS)],
            "votes": poll.chance >> 9 * position & 0x1FF,
        }
        for position in range(1, 3 + (poll.chance >> 7 & 1))
    ]


def _minutes(poll: Attachment) -> int:
    return (60, 720, 1440, 10080)[poll.chance >> 5 & 3]


POLL_MAKERS: Mapping[str, Maker[Attachment]] = {
    "id": lambda poll: poll.id,
    "options": _options,
    "duration_minutes": _minutes,
    "end_datetime": lambda poll: moment(poll.at + 60 * _minutes(poll)),
    "voting_status": lambda poll: "open",  # a stream sends new posts
}

PLACE_MAKERS: Mapping[str, Maker[Place]] = {
    "id": lambda place: place.id,
    "full_name": lambda place: f"{place.name}, {place.country}",
    "contained_within": lambda place: [f"{int(place.id, 16) ^ 0xFFFF:016x}"],
    "country": lambda place: place.country,
    "country_code": lambda place: place.country_code,
    "geo": lambda place: {
        "type": "Feature",
        "bbox": [place.west, place.south, place.east, place.north],
        "properties": {},
    },
    "name": lambda place: place.name,
    "place_type": lambda place: place.place_type,
}


def media_fields(asked: tuple[str, ...]) -> FieldMakers[Attachment]:
    """The default fields of a medium, and the requested ones."""
    return chosen(MEDIA_MAKERS, {"media_key", "type", *asked})


def poll_fields(asked: tuple[str, ...]) -> FieldMakers[Attachment]:
    """The default fields of a poll, and the requested ones."""
    return chosen(POLL_MAKERS, {"id", "options", *asked})


def place_fields(asked: tuple[str, ...]) -> FieldMakers[Place]:
    """The default fields of a place, and the requested ones."""
    return chosen(PLACE_MAKERS, {"id", "full_name", *asked})
