"""Generated posts, and every field that a client can request.

Knows posts and the names of `tweet.fields`; does not know expansions, or how a post is sent. Each post
replies to or quotes another one, mentions the author of that post, and has a medium, a poll and a place, so
that every requested field has a value.

Shapes: X's OpenAPI document, schema Post, under the names that X's samples use
(docs.x.com/x-api/activity/event-payloads): newer documents say `repost_count` and
`referenced_posts` where the samples say `retweet_count` and `referenced_tweets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from xdk_streaming.simulator.content.attachments import PLACES, Attachment, Place, media_key
from xdk_streaming.simulator.content.fields import Maker
from xdk_streaming.simulator.content.phrases import LANGUAGES, SPOKEN, Composition, compose
from xdk_streaming.simulator.content.snowflakes import chance, moment, snowflake
from xdk_streaming.simulator.content.users import POPULATION, User

EDITED_AFTER = 300
"""Seconds after which an edited post was edited; X allows more (docs.x.com/x-api/fundamentals/edit-posts)."""


class Post:
    """The post with this number, generated from `seed`, published at Unix time `at`."""

    def __init__(self, seed: int, number: int, at: float, language: str | None = None) -> None:
        self.seed = seed
        self.number = number
        self.at = at
        self.chance = chance(seed, number)
        self.id = snowflake(at, number)
        self.language = language or SPOKEN[self.chance & 15]

    @cached_property
    def author(self) -> User:
        """The author of the post."""
        return User((self.chance >> 7) % POPULATION)

    @cached_property
    def parent(self) -> Post:
        """The post that this one replies to or quotes, up to about two hours older."""
        older = 30 + (self.chance >> 40 & 0x1FFF)
        parent = Post(self.seed, self.chance >> 18 & 0x3FFFFF, self.at - older, self.language)
        parent.medium = self.medium
        return parent

    @cached_property
    def composition(self) -> Composition:
        """The text of the post, which mentions the parent's author."""
        return compose(self.language, self.chance, self.parent.author.username)

    @cached_property
    def editions(self) -> list[str]:
        """The ids of this post, oldest first: an edit makes a new id. One post in sixteen was edited."""
        if self.chance >> 50 & 15:
            return [self.id]
        return [snowflake(self.at - EDITED_AFTER, self.number), self.id]

    def first_edition(self) -> Post:
        """The post before the edit, which differs only in id and time."""
        first = Post(self.seed, self.number, self.at - EDITED_AFTER, self.language)
        first.parent, first.medium, first.poll = self.parent, self.medium, self.poll
        first.editions = self.editions
        return first

    @cached_property
    def medium(self) -> Attachment:
        """A photo or video, uploaded early enough to appear in the parent as well."""
        return Attachment(snowflake(self.at - 10_000, self.number), self.at, self.chance >> 3)

    @cached_property
    def poll(self) -> Attachment:
        """A poll, created with the post and still open."""
        return Attachment(snowflake(self.at - 4, self.number), self.at, self.chance >> 5)

    @property
    def place(self) -> Place:
        """The place where the post was written."""
        return PLACES[self.chance >> 13 & 7]


def _span(text: str, part: str) -> dict[str, int]:
    """The position of a part, in Unicode code points; the end is exclusive."""
    start = text.index(part)
    return {"start": start, "end": start + len(part)}


def _entities(post: Post) -> dict[str, Any]:
    text, mention, hashtag, cashtag, link = post.composition
    found: dict[str, Any] = {
        "mentions": [{**_span(text, "@" + mention), "username": mention, "id": post.parent.author.id}]
    }
    if hashtag:
        found["hashtags"] = [{**_span(text, "#" + hashtag), "tag": hashtag}]
    if cashtag:
        found["cashtags"] = [{**_span(text, "$" + cashtag), "tag": cashtag}]
    if link:
        page = f"example.com/{post.language}/{post.number}"
        found["urls"] = [
            {**_span(text, link), "url": link, "expanded_url": f"https://{page}", "display_url": page}
        ]
    return found


def _note(post: Post) -> dict[str, Any]:
    """The long form: the text and one more sentence."""
    text = f"{post.composition.text}\n\n{LANGUAGES[post.language].sentences[0]}"
    return {"text": text, "entities": {"mentions": _entities(post)["mentions"]}}


_TOPICS = (
    ("131", "Unified Twitter Taxonomy", "847868745150119936", "Family & relationships"),
    ("47", "Brand", "10045225402", "Twitter"),
    ("119", "Holiday", "1186637514896920576", "New Years Eve"),
    ("30", "Entities [Entity Service]", "781974596752842752", "Services"),
)


def _annotations(post: Post) -> list[dict[str, Any]]:
    domain, domain_name, entity, entity_name = _TOPICS[post.chance >> 36 & 3]
    return [{"domain": {"id": domain, "name": domain_name}, "entity": {"id": entity, "name": entity_name}}]


def _public_metrics(post: Post) -> dict[str, int]:
    reposts = post.chance >> 21 & 0xFF
    # X's samples have retweet_count, X's OpenAPI document requires repost_count: clients may need either.
    return {
        "retweet_count": reposts,
        "repost_count": reposts,
        "reply_count": post.chance >> 25 & 0x3F,
        "like_count": post.chance >> 29 & 0xFFF,
        "quote_count": post.chance >> 33 & 0x1F,
        "bookmark_count": post.chance >> 37 & 0x7F,
        "impression_count": post.chance >> 41 & 0xFFFFF,
    }


def _private_metrics(post: Post) -> dict[str, int]:
    return {
        "impression_count": post.chance >> 41 & 0xFFFFF,
        "url_link_clicks": post.chance >> 22 & 0xFF,
        "user_profile_clicks": post.chance >> 31 & 0x7F,
    }


def _source_link(post: Post) -> str:
    return f"https://example.org/{post.number}"


POST_MAKERS: Mapping[str, Maker[Post]] = {
    "id": lambda post: post.id,
    "text": lambda post: post.composition.text,
    "edit_history_tweet_ids": lambda post: [*post.editions],
    "article": lambda post: {
        "title": LANGUAGES[post.language].sentences[0],
        "cover_media": media_key(post.medium),
        "media_entities": [media_key(post.medium)],
    },
    "attachments": lambda post: {
        "media_keys": [media_key(post.medium)],
        "poll_ids": [post.poll.id],
        "media_source_tweet_id": [post.parent.id],
    },
    "author_id": lambda post: post.author.id,
    "card_uri": lambda post: f"card://{post.poll.id}",
    "community_id": lambda post: str(1_493_446_837_214_187_523 + (post.chance >> 58)),
    "context_annotations": _annotations,
    "conversation_id": lambda post: post.parent.id,
    "created_at": lambda post: moment(post.at),
    "display_text_range": lambda post: [0, len(post.composition.text)],
    "edit_controls": lambda post: {
        "edits_remaining": 6 - len(post.editions),
        "is_edit_eligible": True,
        "editable_until": moment(post.at + 3600),
    },
    "entities": _entities,
    "geo": lambda post: {"place_id": post.place.id},
    "in_reply_to_user_id": lambda post: post.parent.author.id,
    "lang": lambda post: post.language,
    "matched_media_notes": lambda post: [{"note_id": post.poll.id, "match_status": "MATCHED"}],
    "media_metadata": lambda post: [{"media_key": media_key(post.medium), "alt_text": "A cat asleep 🐈"}],
    "non_public_metrics": _private_metrics,
    "note_request_suggestions": lambda post: [
        {"suggestion_id": post.poll.id, "suggestion": "Says who?", "source_link": _source_link(post)}
    ],
    "note_tweet": _note,
    "organic_metrics": _private_metrics,
    "paid_partnership": lambda post: not post.chance >> 44 & 31,
    "possibly_sensitive": lambda post: not post.chance >> 46 & 15,
    "promoted_metrics": _private_metrics,
    "public_metrics": _public_metrics,
    "referenced_tweets": lambda post: [
        {"type": "replied_to" if post.chance >> 54 & 3 else "quoted", "id": post.parent.id}
    ],
    "reply_settings": lambda post: ("everyone", "following", "mentionedUsers")[(post.chance >> 56) % 3],
    "scopes": lambda post: {"followers": False},
    "source": lambda post: ("X for iPhone", "X for Android", "つぶやき🐦")[(post.chance >> 58) % 3],
    "suggested_source_links": lambda post: [_source_link(post)],
    "suggested_source_links_with_counts": lambda post: [
        {"url": _source_link(post), "count": 1 + (post.chance >> 60)}
    ],
    "withheld": lambda post: {"copyright": False, "country_codes": ["DE", "FR"], "scope": "post"},
}

DEFAULTS = frozenset({"id", "text", "edit_history_tweet_ids"})
"""The default fields of a post (docs.x.com/x-api/fundamentals/fields)."""
