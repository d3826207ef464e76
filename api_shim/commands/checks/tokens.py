"""Checks whether tokens are stored encrypted, and whether the configured keys decrypt them."""

from __future__ import annotations

from api_shim.commands.checks.findings import Finding, verdict_on
from worker.accounts.encryption import TokenEncryption
from worker.accounts.mongo.tokens import MongoTokenStore, TokenSurvey
from worker.mongo.database import MongoDatabase
from worker.settings import StoreSettings

SUBJECT = "tokens"

_MOST = 1000


def check_tokens(database: MongoDatabase, settings: StoreSettings) -> Finding:
    """Check up to 1,000 of the stored tokens with the keys of these settings."""
    keys = settings.token_encryption_keys
    survey = MongoTokenStore(database, TokenEncryption(keys)).survey(most=_MOST)
    return judge_tokens(survey, keys=len(keys))


def judge_tokens(survey: TokenSurvey, *, keys: int) -> Finding:
    """Require every token to be readable; plain text always is."""
    encryption = f"encrypted when written, keys: {keys}" if keys else "not encrypted: TOKEN_ENCRYPTION_KEYS is not set"
    return verdict_on(
        SUBJECT,
        f"{encryption}; looked at {survey.looked_at}, in plain text {survey.in_plain_text}, "
        f"unreadable {survey.unreadable}",
        sound=survey.unreadable == 0,
        advice="put the key they were encrypted with into TOKEN_ENCRYPTION_KEYS, or connect these accounts again",
    )
