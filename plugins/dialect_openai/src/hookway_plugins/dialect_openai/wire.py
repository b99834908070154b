"""The wire's id: what providers of OpenAI's chat format call it, so that equal ones relay."""

from __future__ import annotations

WIRE = "openai.chat"
