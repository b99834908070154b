"""What a relayed answer says of itself, read without opening its choices."""

from __future__ import annotations

import msgspec

from hookway_plugins.provider_openai.upstream_errors import in_band
from hookway_plugins.provider_openai.usage_counts import read_usage
from hookway_plugins.provider_openai.wire import NULL, member, text
from hookway_sdk import AnswerFacts, Envelope, UpstreamUndecodable

_ARRAY = ord("[")
_FINISH = b'"finish_reason"'
_SPELT = b'"finish_reason":"'


def read_facts(answer: Envelope) -> AnswerFacts:
    """Read usage, ids and why the model stopped.

    Raises:
        UpstreamInBand: the answer is an error in spite of its status.
        UpstreamUndecodable: it has no choices.
    """
    choices = bytes(choices_of(answer))
    return AnswerFacts(
        read_usage(answer), text(answer, "id"), text(answer, "model"), visible_finish_reason(choices)
    )


def choices_of(answer: Envelope) -> msgspec.Raw:
    """Return the unparsed array of choices.

    Raises:
        UpstreamInBand: the answer is an error in spite of its status.
        UpstreamUndecodable: there is no such array.
    """
    error = answer.get("error")
    if error is not None and error != NULL:
        raise in_band(member(answer, "error"))
    choices = answer.get("choices")
    if choices is None or memoryview(choices)[0] != _ARRAY:
        raise UpstreamUndecodable("it has no choices")
    return choices


def visible_finish_reason(data: bytes) -> str:
    """Return the last ``finish_reason`` word in JSON bytes, ``""`` where there is none.

    Found without parsing: inside a string the quotes around the name would be escaped.
    """
    place = data.rfind(_SPELT)
    if place >= 0:
        begin = place + len(_SPELT)
        return data[begin : data.find(b'"', begin)].decode("utf-8", "replace")
    place = data.rfind(_FINISH)
    while place >= 0:
        rest = data[place + len(_FINISH) : place + len(_FINISH) + 80].lstrip()
        word = rest[1:].lstrip()
        if rest[:1] == b":" and word[:1] == b'"':
            return word[1:].partition(b'"')[0].decode(errors="replace")
        place = data.rfind(_FINISH, 0, place)
    return ""
